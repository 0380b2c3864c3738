package functiongraph

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"archiver/internal/archive"
	"archiver/internal/extract/answer"
)

// FuzzDecodeInvocations checks that no body makes the decoder panic or lose an
// element silently, and that each decoded record fits into a row.
func FuzzDecodeInvocations(f *testing.F) {
	for _, c := range oddFields {
		if len(c.value) < 1000 {
			f.Add([]byte(`{"invocations":[{"request_id":"a","odd":` + c.value + `,"end_time":` + c.value + `},` + c.value + `],"count":1}`))
		}
	}
	f.Add([]byte(`{"invocations":[{"request_id":"403fcbd6","status":"SUCCESS","error_message":"","start_time":"2019-10-25T15:37:27","end_time":"2019-10-25T15:37:27","error_code":0}],"next_marker":"500"}`))
	f.Add([]byte("\uFEFF" + `{"invocations":null,"count":null,"invocations":[{"request_id":"a","start_time":"2019-10-25T15:37:27.5+08:00"}]}`))
	f.Add([]byte(`{"invocations":[{"r\u0065quest_id":"\ud83d\ude00","status":7,"error_code":"4201"},{"request_id":"\u0000"}]}` + " "))
	f.Fuzz(func(t *testing.T, body []byte) {
		l, err := decodeInvocations(bytes.NewReader(body))
		elements, isList := countStandard(body)
		if isList && err != nil {
			t.Errorf("%d elements are lost: %v", elements, err)
		}
		if got := len(l.invocations) + len(l.rejected); isList && got != elements {
			t.Errorf("%d rows and %d rejected of %d elements", len(l.invocations), len(l.rejected), elements)
		}
		if err == nil && !json.Valid(bytes.TrimPrefix(body, []byte("\uFEFF"))) {
			t.Error("taken for JSON")
		}
		for i := range l.invocations {
			checkFits(t, &l.invocations[i])
		}
		for _, r := range l.rejected {
			if r.Reason == "" || !bytes.Contains(body, r.Payload) || len(r.Payload) == 0 {
				t.Errorf("rejected for %q: %q", r.Reason, r.Payload)
			}
			if !r.Start.IsZero() && (r.Start.Year() < 1 || r.Start.Year() > 9999) {
				t.Errorf("rejected with start %v", r.Start)
			}
		}
	})
}

// countStandard counts the elements that encoding/json finds in the top-level lists
// of that name. isList is false if there is no such list.
func countStandard(body []byte) (elements int, isList bool) {
	body = bytes.TrimPrefix(body, []byte("\uFEFF"))
	if !json.Valid(body) {
		return 0, false
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if opening, err := d.Token(); err != nil || opening != json.Delim('{') {
		return 0, false
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return 0, false
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return 0, false
		}
		if name != "invocations" {
			continue
		}
		var list []json.RawMessage
		if json.Unmarshal(value, &list) != nil {
			return 0, false
		}
		isList = true
		elements += len(list)
	}
	return elements, isList
}

func checkFits(t *testing.T, inv *archive.Invocation) {
	t.Helper()
	if n := utf8.RuneCountInString(inv.RequestID); n == 0 || n > archive.MaxRequestID || inv.Status == "" {
		t.Errorf("request id of %d characters, status %q", n, inv.Status)
	}
	for _, s := range []string{inv.RequestID, inv.Status, inv.SourceStatus, inv.ErrorCode, inv.ErrorMessage} {
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			t.Errorf("a text that cannot be kept: %q", s)
		}
	}
	if !inv.Start.IsZero() && (inv.Start.Year() < 1 || inv.Start.Year() > 9999) ||
		!inv.End.IsZero() && (inv.End.Year() < 1 || inv.End.Year() > 9999) {
		t.Errorf("from %v to %v", inv.Start, inv.End)
	}
	if inv.Extra == nil {
		return
	}
	d := json.NewDecoder(bytes.NewReader(inv.Extra))
	d.UseNumber()
	var extra map[string]any
	if err := d.Decode(&extra); err != nil || d.More() || !utf8.Valid(inv.Extra) {
		t.Errorf("extra %q: %v", inv.Extra, err)
	}
	checkJSONB(t, extra, 0)
	// Unpaired surrogates can only come from escapes, and AppendValue writes no
	// escapes for other characters.
	if bytes.Contains(bytes.ReplaceAll(inv.Extra, []byte(`\\`), nil), []byte(`\ud`)) {
		t.Errorf("extra has an escaped surrogate: %q", inv.Extra)
	}
}

// checkJSONB finds values that jsonb rejects.
func checkJSONB(t *testing.T, v any, depth int) {
	t.Helper()
	if depth > answer.MaxDepth+1 {
		t.Errorf("%d deep", depth)
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			checkJSONB(t, name, depth+1)
			checkJSONB(t, member, depth+1)
		}
	case []any:
		for _, element := range v {
			checkJSONB(t, element, depth+1)
		}
	case string:
		if strings.ContainsRune(v, 0) {
			t.Errorf("a text that jsonb cannot hold: %q", v)
		}
	case json.Number:
		if len(v) > answer.MaxNumber {
			t.Errorf("a number of %d characters", len(v))
		}
	}
}
