package simulate

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	computeScheme     = "ACS3-HMAC-SHA256"
	computeDate       = "X-Acs-Date"
	computeContent    = "X-Acs-Content-Sha256"
	computeDateLayout = "2006-01-02T15:04:05Z"
)

// verifyCompute checks a signature over the request as received. The SDK's
// signer, GetAuthorization in darabonba-openapi, defines what is signed and how:
// host, Content-Type and all headers that begin with x-acs-.
func (s *Server) verifyCompute(r *http.Request) *refusal {
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), computeScheme+" ")
	if !ok || s.options.AccessKey == "" {
		return forbidden("not signed with " + computeScheme)
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(part, "=")
		fields[name] = value
	}
	if !sameSecret(fields["Credential"], s.options.AccessKey) {
		return forbidden("unknown access key")
	}
	signed := strings.Split(fields["SignedHeaders"], ";")
	for name := range r.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-acs-") && !slices.Contains(signed, name) {
			return forbidden("a header that begins with x-acs- is not signed")
		}
	}
	if !slices.Contains(signed, "host") || !slices.IsSorted(signed) {
		return forbidden("host is not signed, or the signed headers are not sorted")
	}
	date, err := time.Parse(computeDateLayout, r.Header.Get(computeDate))
	if err != nil || s.options.Now().Sub(date).Abs() > maxClockSkew {
		return forbidden("X-Acs-Date is not within 15 minutes of now")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	sum := sha256.Sum256(body)
	content := hex.EncodeToString(sum[:])
	if err != nil || r.Header.Get(computeContent) != content {
		return forbidden("X-Acs-Content-Sha256 is not the body's hash")
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return forbidden("malformed query string")
	}
	headers, refused := canonicalHeaders(r, signed)
	if refused != nil {
		return refused
	}
	path := strings.TrimSuffix(canonicalPath(r.URL.Path), "/")
	canonical := strings.Join([]string{r.Method, path, canonicalQuery(query), headers, fields["SignedHeaders"], content}, "\n")
	hash := sha256.Sum256([]byte(canonical))
	mac := hmac.New(sha256.New, []byte(s.options.SecretKey))
	mac.Write([]byte(computeScheme + "\n" + hex.EncodeToString(hash[:])))
	if !sameSecret(fields["Signature"], hex.EncodeToString(mac.Sum(nil))) {
		return forbidden("the signature does not match")
	}
	return nil
}
