package functioncompute

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
)

func decode(t *testing.T, body string) (invocationList, error) {
	t.Helper()
	of := functionName{"serviceName", "functionName"}
	return decodeInvocations(strings.NewReader(body), &recordReader{function: of, keepPayload: true})
}

func decodeOne(t *testing.T, element string) (archive.Invocation, *archive.Rejected) {
	t.Helper()
	l, err := decode(t, `{"invocations":[`+element+`]}`)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.rejected) == 1 && len(l.invocations) == 0 {
		return archive.Invocation{}, &l.rejected[0]
	}
	if len(l.invocations) != 1 || len(l.rejected) != 0 {
		t.Fatalf("%d records, %d rejected", len(l.invocations), len(l.rejected))
	}
	return l.invocations[0], nil
}

// The sample of the API's page.
func TestDecodeSample(t *testing.T) {
	t.Parallel()
	l, err := decode(t, `{"nextToken": "8bj81uI8n****","invocations": [{
		"functionName": "functionName","serviceName": "serviceName","qualifier": "LATEST","invocationId": "cxxdfd",
		"status": "Running","startedTime": 1633449590,"endTime": 1633449599,"destinationStatus": "Succeeded",
		"invocationErrorMessage": "UnhandledInvocationError","invocationPayload": "\"body\"","alreadyRetriedTimes": 3,
		"requestId": "ABA740D4-4BA6-5293-9FD1-882707EADC37","instanceId": "D4-4BA6-5293-9FD1-882707E",
		"events": [{"eventId": 1,"status": "Enqueued","timestamp": 1647420449721,"eventDetail": "{\"Error\":\"UnhandledInvocationError\"}"}],
		"durationMs": 100,"returnPayload": "my-result"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	want := invocationList{next: "8bj81uI8n****", invocations: []archive.Invocation{{
		RequestID: "ABA740D4-4BA6-5293-9FD1-882707EADC37", Status: "RUNNING", SourceStatus: "Running",
		ErrorMessage: "UnhandledInvocationError",
		Start:        time.Date(2021, 10, 5, 15, 59, 50, 0, time.UTC), End: time.Date(2021, 10, 5, 15, 59, 59, 0, time.UTC),
		Extra: []byte(`{"qualifier":"LATEST","invocationId":"cxxdfd","destinationStatus":"Succeeded","invocationPayload":"\"body\"","alreadyRetriedTimes":3,` +
			`"instanceId":"D4-4BA6-5293-9FD1-882707E","events":[{"eventId":1,"status":"Enqueued","timestamp":1647420449721,"eventDetail":"{\"Error\":\"UnhandledInvocationError\"}"}],` +
			`"durationMs":100,"returnPayload":"my-result"}`),
	}}}
	// jsonb ignores spaces.
	var compact bytes.Buffer
	if err := json.Compact(&compact, l.invocations[0].Extra); err != nil {
		t.Fatal(err)
	}
	l.invocations[0].Extra = compact.Bytes()
	if diff := cmp.Diff(want, l, cmp.AllowUnexported(invocationList{})); diff != "" {
		t.Error(diff)
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	for word, want := range map[string][2]string{
		`"Enqueued"`: {"WAIT", "Enqueued"}, `"Dequeued"`: {"WAIT", "Dequeued"},
		`"Running"`: {"RUNNING", "Running"}, `"Retrying"`: {"RUNNING", "Retrying"}, `"Stopping"`: {"RUNNING", "Stopping"},
		`"Succeeded"`: {"SUCCESS", "Succeeded"}, `"Failed"`: {"FAIL", "Failed"}, `"Stopped"`: {"FAIL", "Stopped"},
		`"Invalid"`: {"DISCARD", "Invalid"}, `"Expired"`: {"DISCARD", "Expired"},
		`"succeeded"`: {"SUCCESS", "succeeded"}, `" RUNNING "`: {"RUNNING", " RUNNING "},
		// A record with an unknown status is followed until it has an end.
		`"Paused"`: {"RUNNING", "Paused"}, `7`: {"RUNNING", "7"}, `""`: {"RUNNING", "UNKNOWN"}, `null`: {"RUNNING", "UNKNOWN"},
		`"Failed","status":"Paused"`: {"RUNNING", "Paused"}, `"Paused","endTime":0`: {"RUNNING", "Paused"},
		`"Paused","endTime":1640966400000`: {"Paused", ""}, `"","endTime":1640966400000`: {"UNKNOWN", ""},
	} {
		inv, why := decodeOne(t, `{"requestId":"a","status":`+word+`}`)
		if why != nil || inv.Status != want[0] || inv.SourceStatus != want[1] {
			t.Errorf("%s: %q, %q, %v", word, inv.Status, inv.SourceStatus, why)
		}
	}
	if inv, _ := decodeOne(t, `{"requestId":"a"}`); inv.Status != "RUNNING" || inv.SourceStatus != "UNKNOWN" {
		t.Error(inv.Status, inv.SourceStatus)
	}
}

// A record that cannot be stored as a row is rejected unchanged, with the
// reason. One odd field costs neither the record nor the page.
func TestRejected(t *testing.T) {
	t.Parallel()
	for element, reason := range map[string]string{
		`7`: "not an object", `null`: "not an object", `[{"requestId":"a"}]`: "not an object",
		`{}`: "requestId is absent", `{"requestId":""}`: "requestId is empty", `{"requestId":null}`: "requestId is not a string",
		`{"requestId":7}`:                                 "requestId is not a string",
		`{"requestId":"a\u0000"}`:                         "requestId contains characters that PostgreSQL cannot store",
		`{"requestId":"\ud800"}`:                          "requestId contains characters that PostgreSQL cannot store",
		`{"requestId":"` + strings.Repeat("a", 65) + `"}`: "requestId is longer than 64 characters",
		`{"invocationId":"job-1","status":"Enqueued"}`:    "requestId is absent",
		`{"requestId":"a","startedTime":"yesterday"}`:     "startedTime is not a valid time",
	} {
		_, why := decodeOne(t, element)
		if why == nil || why.Reason != reason || string(why.Payload) != element {
			t.Errorf("%s: %+v", element, why)
		}
	}
	if _, why := decodeOne(t, `{"startedTime":1640966400000}`); why == nil || why.Start.IsZero() {
		t.Errorf("%+v", why)
	}
}

// Fields without a column are stored in extra. The function's names are stored
// only if they differ from the queried function.
func TestExtra(t *testing.T) {
	t.Parallel()
	for fields, want := range map[string]string{
		`"endTime":"late"`: `{"endTime":"late"}`,
		`"startedTime":0,"endTime":"9999-12-31T23:59:59Z"`:          `{"startedTime":0,"endTime":"9999-12-31T23:59:59Z"}`,
		`"serviceName":"another"`:                                   `{"serviceName":"another"}`,
		`"functionName":["x"]`:                                      `{"functionName":["x"]}`,
		`"serviceName":"serviceName","functionName":"functionName"`: ``,
		`"events":[{"eventDetail":"\u0000"}],"x":1e99999`:           "{\"events\":[{\"eventDetail\":\"\uFFFD\"}],\"x\":\"1e99999\"}",
	} {
		inv, why := decodeOne(t, `{"requestId":"a",`+fields+`}`)
		if why != nil || string(inv.Extra) != want {
			t.Errorf("%s: %s, %v", fields, inv.Extra, why)
		}
	}
}

// FuzzDecodeInvocations checks that no body makes the decoder panic or lose an
// element silently, and that each decoded record fits into a row.
func FuzzDecodeInvocations(f *testing.F) {
	for _, body := range []string{
		`{"invocations":[{"requestId":"a","startedTime":1633449590,"status":"Running","events":[1e999]},7,null],"nextToken":"x"}`,
		"\uFEFF{\"invocations\":null,\"nextToken\":null,\"invocations\":[{\"requestId\":\"\\ud83d\\ude00\",\"invocationErrorMessage\":\"\\u0000\"}]} ",
		`{"nextToken":7}`, `{}`, `{"RequestId":"x"}`, `{"nextToken":{}}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		l, err := decodeInvocations(bytes.NewReader(body), &recordReader{keepPayload: true})
		if err != nil {
			return
		}
		var all map[string]json.RawMessage
		var list []json.RawMessage
		if !bytes.Contains(body, []byte(`\u`)) && json.Unmarshal(body, &all) == nil && bytes.Count(body, []byte("invocations")) == 1 &&
			json.Unmarshal(all["invocations"], &list) == nil && len(list) != len(l.invocations)+len(l.rejected) {
			t.Errorf("of %d elements %d came", len(list), len(l.invocations)+len(l.rejected))
		}
		for i := range l.invocations {
			inv := &l.invocations[i]
			if inv.RequestID == "" || utf8.RuneCountInString(inv.RequestID) > archive.MaxRequestID || inv.Status == "" {
				t.Errorf("%+v", inv)
			}
			for _, text := range []string{inv.RequestID, inv.Status, inv.SourceStatus, inv.ErrorMessage, string(inv.Extra)} {
				if !utf8.ValidString(text) || strings.Contains(text, "\x00") {
					t.Errorf("%q cannot be kept", text)
				}
			}
			if inv.Extra != nil && !json.Valid(inv.Extra) {
				t.Errorf("extra %q", inv.Extra)
			}
			for _, at := range []time.Time{inv.Start, inv.End} {
				if !at.IsZero() && (at.Year() < 1970 || at.Year() > 9999) {
					t.Errorf("%v", at)
				}
			}
		}
	})
}

func FuzzDecodeFunctions(f *testing.F) {
	f.Add([]byte(`{"data":[{"serviceName":"s","functionName":"f","qualifier":null},{"serviceName":7}],"nextToken":""}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		l, err := decodeFunctions(bytes.NewReader(body))
		if err != nil {
			return
		}
		for _, fn := range l.functions {
			urn := address{}.urn(fn.functionName)
			if back, err := parseURN(urn); err != nil || back != fn.functionName {
				t.Errorf("%q: %q, %v", urn, back, err)
			}
		}
	})
}

// Rows are found by the names of a function, and an index holds no longer ones.
func TestLongNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1<<20)
	l, err := decodeFunctions(strings.NewReader(`{"data":[{"serviceName":"` + long + `","functionName":"f"},{"serviceName":"s","functionName":"` + long + `"},
		{"serviceName":"s","functionName":"f","qualifier":"` + long + `"},{"serviceName":"s","functionName":"f"}]}`))
	if err != nil || l.unusable != 3 || len(l.functions) != 1 {
		t.Errorf("%d unusable, %d functions, %v", l.unusable, len(l.functions), err)
	}
}
