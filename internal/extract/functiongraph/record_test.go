package functiongraph

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/extract/answer"
)

func decodeOne(t testing.TB, element string) (archive.Invocation, *archive.Rejected) {
	t.Helper()
	l, err := decodeInvocations(strings.NewReader(`{"invocations":[` + element + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(l.rejected) == 1 && len(l.invocations) == 0 {
		return archive.Invocation{}, &l.rejected[0]
	}
	if len(l.rejected) != 0 || len(l.invocations) != 1 {
		t.Fatalf("%d rows, %d rejected", len(l.invocations), len(l.rejected))
	}
	return l.invocations[0], nil
}

func TestRecord(t *testing.T) {
	t.Parallel()
	at := time.Date(2019, 10, 25, 15, 37, 27, 0, time.UTC)
	cases := map[string]struct {
		members string // besides request_id
		want    archive.Invocation
	}{
		"page's sample": {
			`"status":"SUCCESS","error_message":"","start_time":"2019-10-25T15:37:27","end_time":"2019-10-25T15:37:27","error_code":0`,
			archive.Invocation{Status: "SUCCESS", Start: at, End: at},
		},
		"nothing else": {`"x":null`, archive.Invocation{Status: "RUNNING", SourceStatus: "UNKNOWN", Extra: []byte(`{"x":null}`)}},
		"waiting":      {`"status":"WAIT","start_time":"","end_time":null`, archive.Invocation{Status: "WAIT"}},
		"year 1 is none": {`"status":"WAIT","start_time":"0001-01-01T00:00:00Z","end_time":"0001-01-01T00:00:00"`, archive.Invocation{
			Status: "WAIT", Extra: []byte(`{"start_time":"0001-01-01T00:00:00Z","end_time":"0001-01-01T00:00:00"}`),
		}},
		"the epoch is none": {`"status":"WAIT","start_time":"1970-01-01T08:00:00+08:00","end_time":0`, archive.Invocation{
			Status: "WAIT", Extra: []byte(`{"start_time":"1970-01-01T08:00:00+08:00","end_time":0}`),
		}},
		"end before start":   {`"start_time":"2019-10-25T15:37:27","end_time":"2019-10-25T15:37:26"`, archive.Invocation{Status: "UNKNOWN", Start: at, End: at.Add(-time.Second)}},
		"invalid end":        {`"end_time":"soon"`, archive.Invocation{Status: "RUNNING", SourceStatus: "UNKNOWN", Extra: []byte(`{"end_time":"soon"}`)}},
		"end beyond 9999":    {`"end_time":"9999-12-31T23:59:59-01:00"`, archive.Invocation{Status: "RUNNING", SourceStatus: "UNKNOWN", Extra: []byte(`{"end_time":"9999-12-31T23:59:59-01:00"}`)}},
		"unknown status":     {`"status":"Stopping"`, archive.Invocation{Status: "RUNNING", SourceStatus: "Stopping"}},
		"unknown and ended":  {`"status":"Parked","end_time":"2019-10-25T15:37:27"`, archive.Invocation{Status: "Parked", End: at}},
		"case and blanks":    {`"status":" Success\n"`, archive.Invocation{Status: "SUCCESS", SourceStatus: " Success\n"}},
		"lower case":         {`"status":"wait"`, archive.Invocation{Status: "WAIT", SourceStatus: "wait"}},
		"status blank":       {`"status":" "`, archive.Invocation{Status: "RUNNING", SourceStatus: " "}},
		"status null":        {`"status":null`, archive.Invocation{Status: "RUNNING", SourceStatus: "UNKNOWN"}},
		"status a number":    {`"status":3`, archive.Invocation{Status: "RUNNING", SourceStatus: "3"}},
		"message an object":  {`"error_message":{"a":"\u0000"}`, archive.Invocation{Status: "RUNNING", SourceStatus: "UNKNOWN", ErrorMessage: `{"a":"\u0000"}`}},
		"message with NUL":   {`"error_message":"a\u0000b"`, archive.Invocation{Status: "RUNNING", SourceStatus: "UNKNOWN", ErrorMessage: "a\uFFFDb"}},
		"unpaired surrogate": {`"error_message":"a\ud800b\udc00"`, archive.Invocation{Status: "RUNNING", SourceStatus: "UNKNOWN", ErrorMessage: "a\uFFFDb\uFFFD"}},
		"surrogate pair":     {`"error_message":"\ud83d\ude00"`, archive.Invocation{Status: "RUNNING", SourceStatus: "UNKNOWN", ErrorMessage: "😀"}},
		"not UTF-8":          {"\"error_message\":\"a\xffb\"", archive.Invocation{Status: "RUNNING", SourceStatus: "UNKNOWN", ErrorMessage: "a\uFFFDb"}},
		"duplicate name":     {`"status":"WAIT","start_time":"never","status":"FAIL","start_time":"2019-10-25T15:37:27"`, archive.Invocation{Status: "FAIL", Start: at}},
		"escaped name":       {`"st\u0061tus":"FAIL"`, archive.Invocation{Status: "FAIL"}},
		"name in capitals":   {`"Status":"FAIL"`, archive.Invocation{Status: "RUNNING", SourceStatus: "UNKNOWN", Extra: []byte(`{"Status":"FAIL"}`)}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, why := decodeOne(t, `{"request_id":"id",`+c.members+`}`)
			if why != nil {
				t.Fatal(why.Reason)
			}
			c.want.RequestID = "id"
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestErrorCode(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		`0`: "", `"0"`: "", `""`: "", `null`: "", `0.0`: "", `-0`: "", `0e9`: "",
		`4201`: "4201", `"4201"`: "4201", `"FSS.1052"`: "FSS.1052", `true`: "true", `{}`: "{}", `[0]`: "[0]",
		`-1`: "-1", `0.5`: "0.5", `1e400`: "1e400", `"a\u0000"`: "a\uFFFD",
	} {
		if got, why := decodeOne(t, `{"request_id":"id","error_code":`+value+`}`); why != nil || got.ErrorCode != want {
			t.Errorf("%s: got %q, %v, want %q", value, got.ErrorCode, why, want)
		}
	}
}

func TestRejected(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", archive.MaxRequestID)
	if got, why := decodeOne(t, `{"request_id":"`+long+`"}`); why != nil || got.RequestID != long {
		t.Errorf("64 characters: %v", why)
	}
	start := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	for element, want := range map[string]archive.Rejected{
		`{}`:                             {Reason: "request_id is absent"},
		`{"request_id":null}`:            {Reason: "request_id is not a string"},
		`{"request_id":17}`:              {Reason: "request_id is not a string"},
		`{"request_id":""}`:              {Reason: "request_id is empty"},
		`{"request_id":"a\u0000"}`:       {Reason: "request_id contains characters that PostgreSQL cannot store"},
		`{"request_id":"\ud800"}`:        {Reason: "request_id contains characters that PostgreSQL cannot store"},
		"{\"request_id\":\"\xff\"}":      {Reason: "request_id contains characters that PostgreSQL cannot store"},
		`{"request_id":"` + long + `ü"}`: {Reason: "request_id is longer than 64 characters"},
		`{"request_id":"a","request_id":"","start_time":"2026-03-14T12:00:00"}`: {Reason: "request_id is empty", Start: start},
		`{"request_id":"a","start_time":"2026-02-30T12:00:00"}`:                 {Reason: "start_time is not a valid time"},
		`{"request_id":"a","start_time":"10000-01-01T00:00:00"}`:                {Reason: "start_time is not a valid time"},
		`{"request_id":"a","start_time":1773489600}`:                            {Reason: "start_time is not a valid time"},
		`"a"`: {Reason: "not an object"},
	} {
		_, got := decodeOne(t, element)
		if got == nil {
			t.Errorf("%s is not rejected", element)
			continue
		}
		want.Payload = []byte(element)
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", element, diff)
		}
	}
}

// A message of 1 MB is stored. Of an element longer than MaxElement, a digest is kept.
func TestRecordSize(t *testing.T) {
	t.Parallel()
	element := func(n int) string {
		return fmt.Sprintf(`{"request_id":"a","error_message":%q}`, strings.Repeat("x", n))
	}
	if inv, why := decodeOne(t, element(1<<20)); why != nil || len(inv.ErrorMessage) != 1<<20 {
		t.Errorf("a megabyte: %d bytes, %v", len(inv.ErrorMessage), why)
	}
	if _, why := decodeOne(t, element(answer.MaxElement)); why == nil || !strings.HasPrefix(why.Reason, "longer than") || !strings.Contains(string(why.Payload), `"first":"{\"request_id\":\"a\"`) {
		t.Errorf("more than the limit: %v", why != nil)
	}
}
