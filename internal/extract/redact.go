package extract

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"archiver/internal/archive"
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
	var secrets []string
	for _, name := range []string{
		"Authorization", "X-Auth-Token", "X-Security-Token", "X-Acs-Security-Token", "X-Acs-Accesskey-Id",
	} {
		secrets = append(secrets, sent.Get(name))
	}
	// SDK-HMAC-SHA256 Access=…, SignedHeaders=…, Signature=…, or
	// ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…
	for part := range strings.FieldsFuncSeq(sent.Get("Authorization"), func(r rune) bool { return r == ' ' || r == ',' }) {
		if name, value, ok := strings.Cut(part, "="); ok && name != "SignedHeaders" {
			secrets = append(secrets, value)
		}
	}
	others, _ := ctx.Value(secretsKey{}).([]string)
	return archive.Redactor(append(secrets, others...)...)
}
