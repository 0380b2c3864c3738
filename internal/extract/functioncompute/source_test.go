package functioncompute

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"archiver/internal/archive"
)

// A call has the documented path, parameters and signature.
func TestCall(t *testing.T) {
	t.Parallel()
	var got *http.Request
	s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		fmt.Fprint(w, `{"invocations":[]}`)
	}))
	if _, err := read(t.Context(), s, hour); err != nil {
		t.Fatal(err)
	}
	if want := "/2021-04-06/services/demo-service/functions/demo-function/stateful-async-invocations"; got.URL.Path != want || got.Method != http.MethodGet {
		t.Errorf("%s %s", got.Method, got.URL.Path)
	}
	if want := "limit=100&sortOrderByTime=asc&startedTimeBegin=1773489599000&startedTimeEnd=1773493201000"; got.URL.Query().Encode() != want {
		t.Errorf("got  %s\nwant %s", got.URL.Query().Encode(), want)
	}
	for name, want := range map[string]string{
		"X-Fc-Account-Id": testAccount, "X-Acs-Security-Token": testToken, "X-Acs-Version": "2021-04-06",
		"X-Acs-Action": "ListStatefulAsyncInvocations",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s: %q", name, got.Header.Get(name))
		}
	}
	if auth := got.Header.Get("Authorization"); !strings.HasPrefix(auth, "ACS3-HMAC-SHA256 Credential="+testKey+",SignedHeaders=") {
		t.Error(auth)
	}
	if stats := s.Stats(); stats.Calls != 1 {
		t.Errorf("%d calls", stats.Calls)
	}
}

// Only a page without a token is the last page, not a short or an empty one.
func TestPages(t *testing.T) {
	t.Parallel()
	s := open(t, pages(map[string]string{
		"":      `{"invocations":[{"requestId":"a"},{"requestId":"b"}],"nextToken":"t 1&="}`,
		"t 1&=": `{"invocations":[],"nextToken":"t2"}`,
		"t2":    `{"nextToken":"t3"}`,
		"t3":    `{"invocations":null,"nextToken":4}`,
		"4":     `{"invocations":[{"requestId":"c"}],"nextToken":""}`,
	}))
	got, err := read(t.Context(), s, hour)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a b", "", "", "", "c"}; !slices.Equal(ids(got), want) {
		t.Errorf("got %q, want %q", ids(got), want)
	}
	for i, p := range got {
		if p.Count != -1 || p.Last != (i == len(got)-1) || p.Last != (p.Next == "") {
			t.Errorf("page %d: count %d, last %t, next %q", i, p.Count, p.Last, p.Next)
		}
	}
	// Each cursor leads to the rest of the pages.
	for i, p := range got[:len(got)-1] {
		q := hour
		q.Cursor = p.Next
		rest, err := read(t.Context(), s, q)
		if err != nil || !slices.Equal(ids(rest), ids(got[i+1:])) {
			t.Errorf("from page %d: %q, %v", i+1, ids(rest), err)
		}
	}
}

// If a token is not usable, the list ends with an error, after the pages that
// came. The next walk starts from the beginning.
func TestPagesWithoutEnd(t *testing.T) {
	t.Parallel()
	for name, bodies := range map[string]map[string]string{
		"the same token": {"": `{"invocations":[{"requestId":"a"}],"nextToken":"x"}`, "x": `{"invocations":[{"requestId":"b"}],"nextToken":"x"}`},
		"a repeated token": {
			"": `{"invocations":[{"requestId":"a"}],"nextToken":"x"}`, "x": `{"nextToken":"y"}`,
			"y": `{"invocations":[{"requestId":"b"}],"nextToken":"x"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := read(t.Context(), open(t, pages(bodies)), hour)
			if err == nil || !strings.Contains(err.Error(), "same nextToken") {
				t.Fatal(err)
			}
			all := strings.Fields(strings.Join(ids(got), " "))
			if last := got[len(got)-1]; !slices.Equal(all, []string{"a", "b"}) || last.Last || last.Next != "" {
				t.Errorf("%q, last %+v", all, last)
			}
		})
	}
}

// An expired token gives archive.ErrCursor, so that the walk starts from the
// beginning. Another refused request does not.
func TestPagesFromCursorThatRanOut(t *testing.T) {
	t.Parallel()
	q := hour
	for _, cursor := range []archive.Cursor{"nextToken=old", "qualifier=gone&nextToken=x", "%zz"} {
		q.Cursor = cursor
		_, err := read(t.Context(), open(t, pages(nil)), q)
		if !errors.Is(err, archive.ErrCursor) {
			t.Errorf("%s: %v", cursor, err)
		}
	}
	if _, err := read(t.Context(), open(t, pages(nil)), hour); err == nil || errors.Is(err, archive.ErrCursor) {
		t.Error(err)
	}
	q.Cursor = "nextToken=x"
	for _, status := range []int{http.StatusForbidden, http.StatusInternalServerError} {
		if _, err := read(t.Context(), open(t, answerWith(status, `{}`)), q); err == nil || errors.Is(err, archive.ErrCursor) {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// Errors match the archive's error values, and contain no secret.
func TestErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status       int
		body         string
		match, never error
		says         string
	}{
		"no function":    {404, `{"ErrorCode":"FunctionNotFound","ErrorMessage":"function 'x' does not exist"}`, archive.ErrGone, nil, "FunctionNotFound"},
		"no service":     {404, `{"ErrorCode":"ServiceNotFound","ErrorMessage":"no"}`, archive.ErrGone, nil, "ServiceNotFound"},
		"no path":        {404, `{"ErrorCode":"PathNotSupported","ErrorMessage":"no"}`, nil, archive.ErrGone, "ARCHIVER_ENDPOINT"},
		"HTML":           {404, `<html>`, nil, archive.ErrGone, "ARCHIVER_ENDPOINT"},
		"denied":         {403, `{"ErrorCode":"AccessDenied","ErrorMessage":"Credential=` + testKey + ` ` + testToken + `"}`, archive.ErrDenied, nil, "fc:ListStatefulAsyncInvocations"},
		"401":            {401, ``, archive.ErrDenied, nil, ""},
		"unknown key":    {404, `{"Code":"InvalidAccessKeyId.NotFound","Message":"no"}`, archive.ErrDenied, archive.ErrGone, ""},
		"bad signature":  {400, `{"Code":"SignatureDoesNotMatch","Message":"no"}`, archive.ErrDenied, nil, ""},
		"wrong argument": {400, `{"ErrorCode":"InvalidArgument","ErrorMessage":"no"}`, nil, archive.ErrDenied, "InvalidArgument"},
		"throttled":      {429, `{"ErrorCode":"ResourceExhausted","ErrorMessage":"no"}`, nil, archive.ErrDenied, "ARCHIVER_RATE"},
		"a redirect":     {302, ``, nil, archive.ErrGone, "ARCHIVER_ENDPOINT"},
		"not JSON":       {200, `<html>`, nil, archive.ErrGone, "not JSON"},
		"cut":            {200, `{"invocations":[{"requestId":"a"}`, nil, archive.ErrGone, "cut"},
		"another answer": {200, `{"hello":"world"}`, nil, archive.ErrGone, "no invocations"},
		"nothing":        {200, `{}`, nil, archive.ErrGone, "no invocations"},
		"id alone":       {200, `{"RequestId":"x"}`, nil, archive.ErrGone, "no invocations"},
		"no last token":  {200, `{"nextToken":""}`, nil, archive.ErrGone, "no invocations"},
		"no list":        {200, `{"invocations":{}}`, nil, archive.ErrGone, "not a list"},
		"no token":       {200, `{"invocations":[],"nextToken":["a"]}`, nil, archive.ErrGone, "nextToken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := read(t.Context(), open(t, answerWith(c.status, c.body)), hour)
			switch {
			case err == nil:
				t.Fatal("no error")
			case c.match != nil && !errors.Is(err, c.match), c.never != nil && errors.Is(err, c.never), !strings.Contains(err.Error(), c.says):
				t.Error(err)
			}
			checkErrorText(t, err)
		})
	}
}

// Temporary failures are retried, only by the Caller.
func TestTriedAgain(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]http.Handler{
		"429": answerWith(429, `{"ErrorCode":"ResourceExhausted"}`), "503": answerWith(503, `{"ErrorCode":"ResourceThrottled"}`),
		"500": answerWith(500, ``), "blank": answerWith(200, ``), "null": answerWith(200, `{"invocations":null}`), "cut": answerWith(200, `{"invocations":[{`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var once sync.Once
			s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h := answerWith(200, `{"invocations":[{"requestId":"a"}]}`)
				once.Do(func() { h = first })
				h.ServeHTTP(w, r)
			}))
			got, err := read(t.Context(), s, hour)
			if err != nil || !slices.Equal(ids(got), []string{"a"}) {
				t.Fatal(ids(got), err)
			}
			stats, throttled := s.Stats(), name == "429" || name == "503"
			if stats.Calls != 2 || (stats.Refused == 1) != throttled {
				t.Errorf("%+v", stats)
			}
		})
	}
}

// Cancelling ends a running call.
func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	s := open(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel(archive.ErrInterrupted)
		<-r.Context().Done()
	}))
	if _, err := read(ctx, s, hour); !errors.Is(err, archive.ErrInterrupted) {
		t.Error(err)
	}
}

// One record is queried by its invocation id, and found by its request id.
func TestOneRecord(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		extra, prefix string
	}{
		"chosen":     {`{"qualifier":"1","invocationId":"job-1"}`, "job-1"},
		"not chosen": {`{"qualifier":"1"}`, "r-1"},
		"unknown":    {``, "r-1"},
		"odd":        {`{"invocationId":["job-1"]}`, "r-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var prefix string
			s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				prefix = r.URL.Query().Get("invocationIdPrefix")
				fmt.Fprint(w, `{"invocations":[{"requestId":"r-10"},{"requestId":"r-1","status":"Succeeded"},7]}`)
			}))
			q := hour
			q.RequestID, q.Extra = "r-1", []byte(c.extra)
			got, err := read(t.Context(), s, q)
			if err != nil || prefix != c.prefix || !slices.Equal(ids(got), []string{"r-1"}) || len(got[0].Rejected) > 0 {
				t.Errorf("prefix %q, %q, %v", prefix, ids(got), err)
			}
		})
	}
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	var asked []string
	lists := pages(map[string]string{
		"":  `{"data":[{"serviceName":"s","functionName":"a","qualifier":"LATEST"},{"serviceName":"s"},7,{"serviceName":"s","functionName":"b","qualifier":"prod"}],"nextToken":"x"}`,
		"x": `{"nextToken":"y"}`,
		"y": `{"data":[{"serviceName":"s","functionName":"a","qualifier":"2"},{"serviceName":"s/ü","functionName":"a:b"}]}`,
	})
	s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/2021-04-06/stateful-async-invocation-functions" {
			lists.ServeHTTP(w, r)
			return
		}
		asked = append(asked, r.URL.Query().Get("qualifier")+" "+r.URL.EscapedPath())
		fmt.Fprint(w, `{"invocations":[]}`)
	}))
	got, err := functions(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	const prefix = "acs:fc:cn-hangzhou:" + testAccount + ":services/"
	want := []archive.Function{
		{URN: prefix + "s/functions/a", Name: "s/a"}, {URN: prefix + "s/functions/b", Name: "s/b"},
		{URN: prefix + "s%2F%C3%BC/functions/a:b", Name: "s/ü/a:b"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	// Each function is queried without a qualifier, and for each other than LATEST.
	for _, f := range got {
		q := hour
		q.Function = f
		if _, err := read(t.Context(), s, q); err != nil {
			t.Fatal(err)
		}
	}
	const path = " /2021-04-06/services/"
	if want := []string{
		path + "s/functions/a/stateful-async-invocations", "2" + path + "s/functions/a/stateful-async-invocations",
		path + "s/functions/b/stateful-async-invocations", "prod" + path + "s/functions/b/stateful-async-invocations",
		path + "s%2F%C3%BC/functions/a%3Ab/stateful-async-invocations",
	}; !slices.Equal(asked, want) {
		t.Errorf("got  %q\nwant %q", asked, want)
	}

	repeating := open(t, pages(map[string]string{"": `{"data":[],"nextToken":"x"}`, "x": `{"data":[],"nextToken":"x"}`}))
	if _, err := functions(t.Context(), repeating); err == nil {
		t.Error("a repeated token is not an error")
	}
}

// A function's lists (one for each qualifier) form one list, and a cursor leads
// from one to the next.
func TestPagesOfQualifiers(t *testing.T) {
	t.Parallel()
	s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		fmt.Fprint(w, map[string]string{
			"":   `{"invocations":[{"requestId":"a"}],"nextToken":"x"}`,
			"x":  `{"invocations":[{"requestId":"b"}]}`,
			"1":  `{"invocations":[{"requestId":"c"}],"nextToken":"x"}`,
			"1x": `{"invocations":[{"requestId":"d"}]}`,
		}[q.Get("qualifier")+q.Get("nextToken")])
	}))
	s.qualifiers.set(map[string][]string{testURN: {"", "1", "LATEST", "1"}})
	got, err := read(t.Context(), s, hour)
	if want := []string{"a", "b", "c", "d"}; err != nil || !slices.Equal(ids(got), want) {
		t.Fatal(ids(got), err)
	}
	for i, p := range got {
		if p.Last != (i == 3) {
			t.Errorf("page %d: last %t", i, p.Last)
		}
		q := hour
		if q.Cursor = p.Next; p.Last {
			continue
		}
		if rest, err := read(t.Context(), s, q); err != nil || !slices.Equal(ids(rest), ids(got[i+1:])) {
			t.Errorf("from page %d: %q, %v", i+1, ids(rest), err)
		}
	}
}

// The next call uses rotated keys.
func TestRotatedKeys(t *testing.T) {
	t.Parallel()
	var got []string
	s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		key, _, _ := strings.Cut(credential, ",")
		got = append(got, key+r.Header.Get("X-Acs-Security-Token"))
		fmt.Fprint(w, `{"invocations":[]}`)
	}), func(o *Options) {
		calls := 0
		o.Keys = func() (Keys, error) {
			calls++
			return Keys{AccessKeyID: fmt.Sprint("key-", calls), AccessKeySecret: testSecret}, nil
		}
	})
	for range 2 {
		if _, err := read(t.Context(), s, hour); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"key-2", "key-3"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Payloads are requested and stored only if the option is set.
func TestIncludePayload(t *testing.T) {
	t.Parallel()
	for _, include := range []bool{false, true} {
		asked := ""
		s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = r.URL.Query().Get("includePayload")
			fmt.Fprint(w, `{"invocations":[{"requestId":"a","invocationPayload":"p","returnPayload":"r"}]}`)
		}), func(o *Options) { o.IncludePayload = include })
		got, err := read(t.Context(), s, hour)
		if err != nil {
			t.Fatal(err)
		}
		want, extra := "", `{"returnPayload":"r"}`
		if include {
			want, extra = "true", `{"invocationPayload":"p","returnPayload":"r"}`
		}
		if asked != want || string(got[0].Invocations[0].Extra) != extra {
			t.Errorf("%t: asked %q, extra %s", include, asked, got[0].Invocations[0].Extra)
		}
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		size, limit int
		want        string
	}{{0, 0, "100"}, {7, 0, "7"}, {500, 0, "100"}, {0, 1, "1"}, {7, 50, "7"}} {
		limit := ""
		s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			limit = r.URL.Query().Get("limit")
			fmt.Fprint(w, `{"invocations":[]}`)
		}), func(o *Options) { o.PageSize = c.size })
		q := hour
		q.Limit = c.limit
		if _, err := read(t.Context(), s, q); err != nil || limit != c.want {
			t.Errorf("%+v: %s, %v", c, limit, err)
		}
	}
}
