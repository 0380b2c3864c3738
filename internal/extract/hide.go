package extract

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// A hiddenKey is where a context keeps what Hide was given.
type hiddenKey struct{}

// Hide returns a context for Do: errors of its calls do not repeat these
// secrets. What a request's headers authenticate it with is hidden as it is;
// this is for what goes elsewhere in it, such as a password in a body.
func Hide(ctx context.Context, secrets ...string) context.Context {
	known, _ := ctx.Value(hiddenKey{}).([]string)
	return context.WithValue(ctx, hiddenKey{}, append(slices.Clip(known), secrets...))
}

// hider replaces what authenticates a request: gateways that refuse a
// signature like to repeat the key, the signature and all that was signed.
func hider(ctx context.Context, sent http.Header) *strings.Replacer {
	var pairs []string
	hide := func(secret string) {
		if len(secret) >= 4 { // a shorter one is no key, and would be all over the text
			pairs = append(pairs, secret, "***")
		}
	}
	for _, name := range []string{
		"Authorization", "X-Auth-Token", "X-Security-Token", "X-Acs-Security-Token", "X-Acs-Accesskey-Id",
	} {
		hide(sent.Get(name))
	}
	// SDK-HMAC-SHA256 Access=…, SignedHeaders=…, Signature=…, or
	// ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…
	for part := range strings.FieldsFuncSeq(sent.Get("Authorization"), func(r rune) bool { return r == ' ' || r == ',' }) {
		if name, value, ok := strings.Cut(part, "="); ok && name != "SignedHeaders" {
			hide(value)
		}
	}
	others, _ := ctx.Value(hiddenKey{}).([]string)
	for _, secret := range others {
		hide(secret)
		// A body that is repeated as a text has it as it stands there.
		if quoted, err := json.Marshal(secret); err == nil {
			hide(string(quoted[1 : len(quoted)-1]))
		}
	}
	return strings.NewReplacer(pairs...)
}

// A hiddenError is an error whose text repeated a secret.
type hiddenError struct {
	err  error
	text string
}

func (e *hiddenError) Error() string { return e.text }

// Unwrap makes errors.As see what it is.
func (e *hiddenError) Unwrap() error { return e.err }

// hidden is an error without the secrets that its text may repeat: an answer
// that is no HTTP is quoted in it.
func hidden(err error, hide *strings.Replacer) error {
	text := err.Error()
	if replaced := hide.Replace(text); replaced != text {
		return &hiddenError{err, replaced}
	}
	return err
}
