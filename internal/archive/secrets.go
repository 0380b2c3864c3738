package archive

import (
	"cmp"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Redactor replaces secrets by "***", in every form in which a library or a server may
// show them: as they are, percent-encoded, and quoted as JSON, as Go and as a keyword of
// PostgreSQL's. A secret of less than four characters is not replaced: it would match
// everywhere.
func Redactor(secrets ...string) *strings.Replacer {
	var forms []string
	for _, s := range secrets {
		quoted, _ := json.Marshal(s) // a string can always be marshalled
		forms = append(forms, s, string(quoted[1:len(quoted)-1]), url.QueryEscape(s), url.PathEscape(s),
			strings.TrimPrefix(url.UserPassword("", s).String(), ":"), inner(strconv.Quote(s)), inner(strconv.QuoteToASCII(s)),
			strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s), strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s))
	}
	forms = slices.DeleteFunc(forms, func(form string) bool { return len(form) < 4 })
	// A secret may begin another one.
	slices.SortFunc(forms, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	var pairs []string
	for _, form := range slices.Compact(forms) {
		pairs = append(pairs, form, "***")
	}
	return strings.NewReplacer(pairs...)
}

func inner(quoted string) string { return quoted[1 : len(quoted)-1] }

// Redacted removes secrets from the text of an error. errors.Is and errors.As see the
// original error.
func Redacted(err error, redact *strings.Replacer) error {
	if err == nil {
		return nil
	}
	if text := redact.Replace(err.Error()); text != err.Error() {
		return &redactedError{err, text}
	}
	return err
}

// A redactedError is an error whose text contained a secret.
type redactedError struct {
	err  error
	text string
}

func (e *redactedError) Error() string { return e.text }

func (e *redactedError) Unwrap() error { return e.err }
