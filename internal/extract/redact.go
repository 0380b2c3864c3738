package extract

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// secretsKey is the context key of the secrets given to Redact.
type secretsKey struct{}

// Redact returns a context for Do. Errors of calls made with this context do not
// contain the secrets. The headers that authenticate a request are always
// redacted; Redact is for secrets elsewhere in the request, such as a password
// in the body.
func Redact(ctx context.Context, secrets ...string) context.Context {
	known, _ := ctx.Value(secretsKey{}).([]string)
	return context.WithValue(ctx, secretsKey{}, append(slices.Clip(known), secrets...))
}

// redactor replaces the secrets of a request with "***". Gateways that refuse a
// signature often repeat the key, the signature and the signed text.
func redactor(ctx context.Context, sent http.Header) *strings.Replacer {
	var pairs []string
	add := func(secret string) {
		if len(secret) >= 4 { // a shorter text is not a key, and would match everywhere
			pairs = append(pairs, secret, "***")
		}
	}
	for _, name := range []string{
		"Authorization", "X-Auth-Token", "X-Security-Token", "X-Acs-Security-Token", "X-Acs-Accesskey-Id",
	} {
		add(sent.Get(name))
	}
	// SDK-HMAC-SHA256 Access=…, SignedHeaders=…, Signature=…, or
	// ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…
	for part := range strings.FieldsFuncSeq(sent.Get("Authorization"), func(r rune) bool { return r == ' ' || r == ',' }) {
		if name, value, ok := strings.Cut(part, "="); ok && name != "SignedHeaders" {
			add(value)
		}
	}
	others, _ := ctx.Value(secretsKey{}).([]string)
	for _, secret := range others {
		add(secret)
		// A server that quotes a JSON body repeats the secret in its JSON form.
		if quoted, err := json.Marshal(secret); err == nil {
			add(string(quoted[1 : len(quoted)-1]))
		}
	}
	return strings.NewReplacer(pairs...)
}

// A redactedError is an error whose text contained a secret.
type redactedError struct {
	err  error
	text string
}

func (e *redactedError) Error() string { return e.text }

// Unwrap lets errors.Is and errors.As see the original error.
func (e *redactedError) Unwrap() error { return e.err }

// redacted removes secrets from the text of an error. For example, net/http
// quotes a malformed answer in its error.
func redacted(err error, redact *strings.Replacer) error {
	text := err.Error()
	if replaced := redact.Replace(text); replaced != text {
		return &redactedError{err, replaced}
	}
	return err
}
