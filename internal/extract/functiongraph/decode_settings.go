package functiongraph

import (
	"cmp"
	"io"
	"math"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/archive"
	"archiver/internal/extract/answer"
)

// maxURN is the longest accepted URN, in characters, and name, in bytes. The API documents at most
// 269 (page: Querying Asynchronous Execution Notification Settings of a
// Function's All Versions, func_urn).
const maxURN = 512

// A settingList is one decoded page. Each element of the page is in settings or in
// rejected.
type settingList struct {
	pageSummary
	settings []archive.Setting
	rejected []archive.Rejected
}

// maxSettingsSize bounds the settings of one page, in bytes. A setting has some hundred.
const maxSettingsSize = 4 << 20

func decodeSettings(body io.Reader) (l settingList, err error) {
	var settings settingReader
	size := 0
	l.pageSummary, err = decodeList(body, "async_invoke_configs", maxSettings, func(element answer.Element) (key string) {
		s, rejected := settings.read(element)
		if size += len(element.Value); size > maxSettingsSize {
			return ""
		}
		if rejected != nil {
			l.rejected = append(l.rejected, *rejected)
			return string(rejected.Payload)
		}
		l.settings = append(l.settings, s)
		return string(s.Raw)
	})
	if size > maxSettingsSize {
		err = cmp.Or(err, answer.TooLarge("has more than %d bytes of settings", maxSettingsSize))
	}
	return l, err
}

// A settingReader decodes elements into settings, and reuses its memory.
type settingReader struct {
	objects, nested answer.ObjectReader
	texts           answer.TextReader
}

// read decodes one element, or rejects it if it has no valid URN. Other fields
// that cannot be read are in Raw, with the whole element.
func (r *settingReader) read(e answer.Element) (archive.Setting, *archive.Rejected) {
	s := archive.Setting{MaxEventAge: -1, MaxRetries: -1}
	if rejected := e.Unreadable(); rejected != nil {
		return s, rejected
	}
	element := e.Value
	reason := "func_urn is absent"
	for name, value := range r.objects.Members(element) {
		switch string(name) {
		case "func_urn":
			s.URN, reason = urn(value)
		case "max_async_event_age_in_seconds":
			s.MaxEventAge = int32OrUnknown(value)
		case "max_async_retry_attempts":
			s.MaxRetries = int32OrUnknown(value)
		case "destination_config":
			s.OnSuccess, s.OnFailure = r.destinations(value)
		case "enable_async_status_log":
			s.StatusLog = boolOrNil(value)
		case "created_time":
			s.Created, _ = answer.Time(value)
		case "last_modified":
			s.Modified, _ = answer.Time(value)
		}
	}
	if reason != "" {
		return s, answer.Rejected(element, time.Time{}, reason)
	}
	s.Raw = answer.AppendValue(nil, element)
	return s, nil
}

// destinations returns the kinds of the two destinations; "" means none.
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

// urn reads a URN, or returns the reason why it is not valid.
func urn(value jsontext.Value) (urn, reason string) {
	text, reason := answer.Identifier(nil, "func_urn", value, maxURN)
	return string(text), reason
}

// int32OrUnknown reads an integer from 0 to the maximum of int32; other values
// give -1.
func int32OrUnknown(value jsontext.Value) int {
	n := answer.Integer(value)
	if n > math.MaxInt32 {
		return -1
	}
	return n
}

// boolOrNil reads true or false, also as a string, or as 1 or 0. Other values give
// nil.
func boolOrNil(value jsontext.Value) *bool {
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
