package functiongraph

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"archiver/internal/archive"
)

func TestDenied(t *testing.T) {
	t.Parallel()
	for status, calls := range map[int]int64{http.StatusUnauthorized: 4, http.StatusForbidden: 2} { // one stray 401 is tried again
		s := open(t, answerWith(status, `{"error_code":"APIGW.0301","error_msg":"verify ak `+testKey+` failed"}`))
		_, err := functions(t.Context(), s)
		if !errors.Is(err, archive.ErrDenied) || !strings.Contains(err.Error(), "permission FunctionGraph:function:list") {
			t.Errorf("functions, %d: %v", status, err)
		}
		checkErrorText(t, err)
		_, err = read(t.Context(), s, hour)
		if !errors.Is(err, archive.ErrDenied) || !strings.Contains(err.Error(), "FunctionGraph ReadOnlyAccess") {
			t.Errorf("invocations, %d: %v", status, err)
		}
		checkErrorText(t, err)
		if s.Stats().Calls != calls {
			t.Errorf("%d: %d calls", status, s.Stats().Calls)
		}
	}
}

// The simulator checks signatures, and refuses wrong keys.
func TestDeniedBySimulator(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]func(*Options){
		"secret key": func(o *Options) { o.SecretKey = secret("another") },
		"project":    func(o *Options) { o.ProjectID = "another" },
		"token":      func(o *Options) { o.AuthToken = secret("another-token") },
	} {
		if _, err := functions(t.Context(), open(t, simulator(t, 1, 10), wrong)); !errors.Is(err, archive.ErrDenied) {
			t.Errorf("wrong %s: %v", name, err)
		} else {
			checkErrorText(t, err)
		}
	}
}

func TestGone(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		body string
		gone bool
	}{
		"the API's own":   {`{"error_code":"FSS.0404","error_msg":"can not find function"}`, true},
		"a gateway's own": {`{"error_code":"APIG.0101","error_msg":"The API does not exist or has not been published"}`, false},
		"HTML":            {`<html>not found</html>`, false},
		"nothing":         {``, false},
		"no code":         {`{"error_msg":"not found"}`, false},
	}
	for name, c := range cases {
		s := open(t, answerWith(http.StatusNotFound, c.body))
		_, err := read(t.Context(), s, hour)
		if err == nil || errors.Is(err, archive.ErrGone) != c.gone || s.Stats().Calls != 1 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !c.gone && !strings.Contains(err.Error(), "check ARCHIVER_ENDPOINT or ARCHIVER_REGION") {
			t.Errorf("%s does not say what to do: %v", name, err)
		}
		checkErrorText(t, err)
		// The list of functions has no function that could be gone.
		if _, err := functions(t.Context(), s); err == nil || errors.Is(err, archive.ErrGone) {
			t.Errorf("%s, functions: %v", name, err)
		}
	}
}

// The codes of the page Error Codes that say that a function or its version does not
// exist are gone at once, with any status, and in the envelope of a 200 as well.
func TestGoneByCode(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"FSS.0404", "FSS.0410", "FSS.1051", "FSS.1052"} {
		for _, status := range []int{200, 400, 401, 403, 404} {
			s := open(t, answerWith(status, `{"error_code":"`+code+`","error_msg":"no","invocations":[],"count":0}`))
			calls := int64(1)
			if status == 401 {
				calls++ // may be a stray one
			}
			if _, err := read(t.Context(), s, hour); !errors.Is(err, archive.ErrGone) || errors.Is(err, archive.ErrDenied) || s.Stats().Calls > calls {
				t.Errorf("%d %s: %v after %d calls", status, code, err, s.Stats().Calls)
			}
		}
	}
}

// An error tells the operator what to do.
func TestErrorsAdvise(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.Handler
		advice string
	}{
		"throttled for good": {answerWith(429, `{"error_code":"APIGW.0308","error_msg":"throttling"}`), "APIGW.0308 throttling: lower ARCHIVER_RATE or ARCHIVER_CONCURRENCY"},
		"moved":              {http.RedirectHandler("/login", http.StatusFound), "check ARCHIVER_ENDPOINT or ARCHIVER_REGION"},
		"another service":    {answerWith(200, `{"hello":"world"}`), "the answer has no"},
		"down":               {answerWith(500, `{"error_code":"FSS.0500","error_msg":"xxx"}`), "tried 7 times: answered 500 FSS.0500 xxx"},
		"a web page":         {answerWith(200, "<html>\n"), "the answer is not JSON"},
	} {
		s := open(t, c.answer)
		_, err := functions(t.Context(), s)
		if err == nil || !strings.Contains(err.Error(), c.advice) || !strings.HasPrefix(err.Error(), "list the functions at "+s.Endpoint()) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkErrorText(t, err)
		if _, err := read(t.Context(), s, hour); err == nil || !strings.Contains(err.Error(), c.advice) {
			t.Errorf("%s, invocations: %v", name, err)
		}
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, err := functions(t.Context(), openAt(t, server.URL))
	if err == nil || !strings.Contains(err.Error(), "check ARCHIVER_ENDPOINT or ARCHIVER_REGION, and the network") {
		t.Fatal(err)
	}
	checkErrorText(t, err)
}
