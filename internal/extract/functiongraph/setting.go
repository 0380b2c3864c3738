package functiongraph

import (
	"hash/maphash"
	"io"
	"math"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/archive"
	"archiver/internal/extract/answer"
)

// maxURN is the length in characters of the longest URN that is taken for one;
// 269 is the longest there is (page: Querying Asynchronous Execution
// Notification Settings of a Function's All Versions, func_urn).
const maxURN = 512

// A settingList is one answer, each of its elements a setting or rejected.
type settingList struct {
	settings    []archive.Setting
	rejected    []archive.Rejected
	count, next int // -1 for none
}

func (l *settingList) answered(seed maphash.Seed) answered {
	var h maphash.Hash
	h.SetSeed(seed)
	for i := range l.settings {
		_, _ = h.Write(l.settings[i].Raw)
		_ = h.WriteByte(0)
	}
	for i := range l.rejected {
		_, _ = h.Write(l.rejected[i].Payload)
		_ = h.WriteByte(0)
	}
	return answered{len(l.settings) + len(l.rejected), l.count, l.next, h.Sum64()}
}

// decodeSettings reads a page of settings.
func decodeSettings(body io.Reader) (settingList, error) {
	l := settingList{count: -1, next: -1}
	var settings settingReader
	err := decodeList(body, "async_invoke_configs", &l.count, &l.next, func(element jsontext.Value) {
		s, rejected := settings.read(element)
		if rejected != nil {
			l.rejected = append(l.rejected, *rejected)
			return
		}
		l.settings = append(l.settings, s)
	})
	return l, err
}

// A settingReader turns elements into settings, one after the other.
type settingReader struct {
	objects, nested answer.ObjectReader
	texts           answer.TextReader
}

// read turns one element into a setting, or says why it is none. Only its URN
// must be there: what else cannot be read is in its raw answer.
func (r *settingReader) read(element jsontext.Value) (archive.Setting, *archive.Rejected) {
	s := archive.Setting{MaxEventAge: -1, MaxRetries: -1}
	if rejected := answer.Unread(element); rejected != nil {
		return s, rejected
	}
	reason := "func_urn is absent"
	for name, value := range r.objects.Members(element) {
		switch string(name) {
		case "func_urn":
			s.URN, reason = urn(value)
		case "max_async_event_age_in_seconds":
			s.MaxEventAge = whole(value)
		case "max_async_retry_attempts":
			s.MaxRetries = whole(value)
		case "destination_config":
			s.OnSuccess, s.OnFailure = r.destinations(value)
		case "enable_async_status_log":
			s.StatusLog = boolean(value)
		case "created_time":
			s.Created, _ = parseTime(value)
		case "last_modified":
			s.Modified, _ = parseTime(value)
		}
	}
	if reason != "" {
		return s, answer.Rejected(element, time.Time{}, reason)
	}
	s.Raw = answer.AppendValue(nil, element)
	return s, nil
}

// destinations are the kinds of the two destinations, empty for none.
func (r *settingReader) destinations(value jsontext.Value) (success, failure string) {
	for name, value := range r.nested.Members(value) {
		switch string(name) {
		case "on_success":
			success = r.destination(value)
		case "on_failure":
			failure = r.destination(value)
		}
	}
	return success, failure
}

func (r *settingReader) destination(value jsontext.Value) (kind string) {
	var objects answer.ObjectReader
	for name, value := range objects.Members(value) {
		if string(name) == "destination" {
			kind = r.texts.Text(value)
		}
	}
	return kind
}

// urn reads a URN, or says what is wrong with it.
func urn(value jsontext.Value) (urn, reason string) {
	text, reason := answer.Key(nil, "func_urn", value, maxURN)
	return string(text), reason
}

// whole reads an integer that a column of integer holds, -1 for anything else.
func whole(value jsontext.Value) int {
	n := answer.Integer(value)
	if n > math.MaxInt32 {
		return -1
	}
	return n
}

// boolean reads true and false, as words, in quotes, or as 1 and 0; nil for
// anything else.
func boolean(value jsontext.Value) *bool {
	word := string(value)
	if value.Kind() == '"' {
		word = strings.TrimSpace(string(answer.Unquote(nil, value)))
	}
	yes := strings.EqualFold(word, "true") || word == "1"
	if !yes && !strings.EqualFold(word, "false") && word != "0" {
		return nil
	}
	return &yes
}
