package simulate

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	signatureScheme = "SDK-HMAC-SHA256"
	dateHeader      = "X-Sdk-Date"
	dateLayout      = "20060102T150405Z"
	contentHeader   = "X-Sdk-Content-Sha256"
	// unsignedContent replaces the hash of a body that the client did not sign.
	unsignedContent = "UNSIGNED-PAYLOAD"

	// maxClockSkew is how far a signature's date may be from now.
	maxClockSkew = 15 * time.Minute
	// maxBody is larger than the body of any request of this API, in bytes.
	maxBody = 1 << 20
)

// authenticate returns nil for a request with a valid token or signature, else
// the refusal to answer with.
func (s *Server) authenticate(r *http.Request) *refusal {
	if ofCompute(r) {
		return s.verifyCompute(r)
	}
	if token := r.Header.Get("X-Auth-Token"); token != "" &&
		(s.options.Token != "" && sameSecret(token, s.options.Token) || s.tokens.valid(token, s.options.Now())) {
		return nil
	}
	authorization := r.Header.Get("Authorization")
	if authorization == "" || s.options.AccessKey == "" {
		return errToken
	}
	return s.verify(r, authorization)
}

// sameSecret compares in constant time, so that the time tells nothing about a
// secret.
func sameSecret(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// verify checks a signature over the request as received. Only the SDK's signer,
// core/auth/signer in huaweicloud-sdk-go-v3, defines what is signed and how. The
// SDK signs neither host nor Content-Type, but a client may list host.
func (s *Server) verify(r *http.Request, authorization string) *refusal {
	access, signed, signature, ok := parseAuthorization(authorization)
	if !ok {
		return forbidden("malformed Authorization header")
	}
	if !sameSecret(access, s.options.AccessKey) {
		return forbidden("unknown access key")
	}
	if !slices.Contains(signed, strings.ToLower(dateHeader)) {
		return forbidden("X-Sdk-Date is not signed")
	}
	date, err := time.Parse(dateLayout, strings.TrimSpace(r.Header.Get(dateHeader)))
	if err != nil || len(r.Header.Values(dateHeader)) != 1 {
		return forbidden("malformed X-Sdk-Date")
	}
	if skew := s.options.Now().Sub(date); skew.Abs() > maxClockSkew {
		return forbidden("X-Sdk-Date is not within 15 minutes of now")
	}
	canonical, refused := canonicalRequest(r, signed)
	if refused != nil {
		return refused
	}
	if !sameSecret(signature, sign(canonical, date, s.options.SecretKey)) {
		return forbidden("the signature does not match")
	}
	return nil
}

// parseAuthorization splits "SDK-HMAC-SHA256 Access=…, SignedHeaders=a;b,
// Signature=…". The header names are in lower case, as they are signed.
func parseAuthorization(value string) (access string, signed []string, signature string, ok bool) {
	rest, ok := strings.CutPrefix(value, signatureScheme+" ")
	if !ok {
		return "", nil, "", false
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, field, found := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := fields[name]; !found || field == "" || twice {
			return "", nil, "", false
		}
		fields[name] = field
	}
	access, headers, signature := fields["Access"], fields["SignedHeaders"], fields["Signature"]
	ok = len(fields) == 3 && access != "" && headers != "" && signature != "" && headers == strings.ToLower(headers)
	return access, strings.Split(headers, ";"), signature, ok
}

// canonicalRequest renders the request in the form that is signed.
func canonicalRequest(r *http.Request, signed []string) (string, *refusal) {
	content, refused := contentHash(r)
	if refused != nil {
		return "", refused
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", forbidden("malformed query string")
	}
	headers, refused := canonicalHeaders(r, signed)
	if refused != nil {
		return "", refused
	}
	return strings.Join([]string{
		r.Method,
		canonicalPath(r.URL.Path),
		canonicalQuery(query),
		headers,
		strings.Join(signed, ";"),
		content,
	}, "\n"), nil
}

// contentHash returns the hash that the signature covers. A hash in the header
// must be the hash of the body, but the header may also say that the body is
// not signed. The body can be read again afterwards.
func contentHash(r *http.Request) (string, *refusal) {
	claimed := r.Header.Get(contentHeader)
	if claimed == unsignedContent {
		return claimed, nil
	}
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(io.LimitReader(r.Body, maxBody+1))
		if err != nil || len(body) > maxBody {
			return "", forbidden("the body cannot be verified")
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if claimed != "" && !strings.EqualFold(claimed, hash) {
		return "", forbidden("X-Sdk-Content-Sha256 is not the body's hash")
	}
	if claimed != "" {
		return claimed, nil
	}
	return hash, nil
}

// canonicalHeaders returns a line for each value of each signed header, and an
// empty line at the end.
func canonicalHeaders(r *http.Request, signed []string) (string, *refusal) {
	var b strings.Builder
	for _, name := range signed {
		values := slices.Clone(r.Header.Values(name))
		if name == "host" {
			// net/http keeps host out of the headers.
			values = []string{r.Host}
		}
		if len(values) == 0 {
			return "", forbidden("a signed header is missing: " + name)
		}
		slices.Sort(values)
		for _, value := range values {
			b.WriteString(name + ":" + strings.TrimSpace(value) + "\n")
		}
	}
	return b.String(), nil
}

// canonicalPath escapes each segment and ends in a slash.
func canonicalPath(path string) string {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		segments[i] = escape(segment)
	}
	path = strings.Join(segments, "/")
	if !strings.HasSuffix(path, "/") {
		path += "/"
	}
	return path
}

// canonicalQuery sorts by name, then by value.
func canonicalQuery(query url.Values) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(query)) {
		for _, value := range slices.Sorted(slices.Values(query[name])) {
			pairs = append(pairs, escape(name)+"="+escape(value))
		}
	}
	return strings.Join(pairs, "&")
}

// escape percent-encodes all characters except the unreserved ones of RFC 3986.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// sign returns the signature of a canonical request, in hexadecimal digits.
func sign(canonical string, date time.Time, secretKey string) string {
	sum := sha256.Sum256([]byte(canonical))
	mac := hmac.New(sha256.New, []byte(secretKey))
	mac.Write([]byte(signatureScheme + "\n" + date.UTC().Format(dateLayout) + "\n" + hex.EncodeToString(sum[:])))
	return hex.EncodeToString(mac.Sum(nil))
}
