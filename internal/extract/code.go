package extract

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// throttlingCodes mean that there are too many calls, in lower case:
//   - Huawei Cloud (page: Querying Asynchronous Invocation Requests, Tables 6 to 8): with 429.
//   - Function Compute: with 429 or 503.
//   - Tencent Cloud (page: Common Error Codes): in the envelope of a 200.
//
// So does any code that contains "throttling", which the gateways of Alibaba Cloud answer
// with various statuses.
var throttlingCodes = []string{
	"apigw.0308", "apig.0308", "fss.0429", "resourceexhausted", "resourcethrottled", "requestlimitexceeded", "toomanyrequests", "429",
}

func isThrottlingCode(code string) bool {
	code = strings.ToLower(code)
	return slices.Contains(throttlingCodes, code) || strings.HasPrefix(code, "requestlimitexceeded.") || strings.Contains(code, "throttling")
}

// Throttled reports whether the source refused the call because there are too many. A 500
// with a code of Function Compute is its own failure.
func (e *StatusError) Throttled() bool {
	return e.Status == http.StatusTooManyRequests ||
		isThrottlingCode(e.Code) && (e.Status != http.StatusInternalServerError || !strings.HasPrefix(e.Code, "Resource"))
}

// isStaleSignature reports whether the source refused the signature because it has seen
// its nonce. The call may be made again with another signature.
func (e *StatusError) isStaleSignature() bool {
	return e.Status < 500 && strings.EqualFold(e.Code, "SignatureNonceUsed")
}

// codeWords are parts of error codes, in lower case, and the status that such a code stands
// for. The first match counts.
var codeWords = []struct {
	word   string
	status int
}{
	{"signaturenonceused", http.StatusBadRequest},
	{"nexttoken", http.StatusBadRequest},
	{"accesskey", http.StatusForbidden},
	{"fss.105", http.StatusNotFound}, // page: Error Codes
	{"notfound", http.StatusNotFound}, {"notexist", http.StatusNotFound}, {"nosuch", http.StatusNotFound},
	{"securitytoken", http.StatusUnauthorized}, {"tokeninvalid", http.StatusUnauthorized}, {"tokenexpired", http.StatusUnauthorized},
	{"unauthenticated", http.StatusUnauthorized}, {"apigw.0301", http.StatusUnauthorized}, {"apig.0301", http.StatusUnauthorized},
	{"denied", http.StatusForbidden}, {"forbidden", http.StatusForbidden}, {"unauthorized", http.StatusForbidden},
	{"nopermission", http.StatusForbidden}, {"authfailure", http.StatusForbidden}, {"signature", http.StatusForbidden},
	{"apigw.0302", http.StatusForbidden}, {"apig.0302", http.StatusForbidden},
	{"invalid", http.StatusBadRequest}, {"missing", http.StatusBadRequest}, {"unsupported", http.StatusBadRequest}, {"limitexceeded", http.StatusBadRequest},
}

// statusOf returns the status that an error code in an envelope stands for: the status that
// the code ends with (FSS.0404), or that its words mean. Any other code is a failure of the
// source, which may pass.
func statusOf(code string) int {
	code = strings.ToLower(code)
	if isThrottlingCode(code) {
		return http.StatusTooManyRequests
	}
	if n, err := strconv.Atoi(code[strings.LastIndexByte(code, '.')+1:]); err == nil && n >= 400 && n < 600 {
		return n
	}
	for _, w := range codeWords {
		if strings.Contains(code, w.word) {
			return w.status
		}
	}
	return http.StatusInternalServerError
}
