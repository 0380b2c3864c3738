package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func TestRedactor(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{`p@s's"w\o%41r d&#/?:=+<é`, "`backtick`", "tab\tand\nline", "plain-word", `"""""`, `%%%%`} {
		quoted, err := json.Marshal(secret)
		if err != nil {
			t.Fatal(err)
		}
		for _, shown := range []string{
			secret, string(quoted), fmt.Sprintf("%q", secret), fmt.Sprintf("%+q", secret), url.QueryEscape(secret), url.PathEscape(secret),
			(&url.URL{Scheme: "postgres", User: url.UserPassword("user", secret), Host: "db"}).String(),
			"password='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(secret) + "'",
			(&url.Error{Op: "parse", URL: secret, Err: errors.New("invalid")}).Error(),
		} {
			original := errors.New("before " + shown + " after")
			got := Redacted(original, Redactor("before", secret, secret+"more"))
			if strings.Contains(got.Error(), secret) || strings.Count(got.Error(), "***") < 2 || !strings.HasSuffix(got.Error(), " after") || !errors.Is(got, original) {
				t.Errorf("%q: %s", secret, got)
			}
		}
	}
	if err := Redacted(errors.New("abc"), Redactor("abc", "")); err.Error() != "abc" {
		t.Error("a short text is replaced")
	}
}
