package answer

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func readEnvelope(t *testing.T, body string) (*EnvelopeError, string) {
	t.Helper()
	members := ""
	err := ReadObject(strings.NewReader(body), func(name string, r *Reader) error {
		members += name + " "
		return r.SkipValue()
	})
	var found *EnvelopeError
	if err != nil && !errors.As(err, &found) {
		t.Fatalf("%s: %v", body, err)
	}
	return found, members
}

// An error is found under any of the names, with or without a list.
func TestEnvelopeErrors(t *testing.T) {
	t.Parallel()
	for _, names := range [][2]string{
		{"error_code", "error_msg"}, {"errorCode", "errorMessage"}, {"ErrorCode", "ErrorMessage"}, {"code", "message"}, {"Code", "Message"},
		{"errorCode", "errorMsg"}, {"ERROR_CODE", "ERROR_MESSAGE"}, {"err_code", "err_msg"}, {"error_code", "message"},
	} {
		for _, list := range []string{``, `,"count":0`, `,"list":[]`, `,"list":[{"error_code":0}],"count":1`} {
			for _, body := range []string{
				`{"` + names[0] + `":"FSS.0500","` + names[1] + `":"it is late."` + list + `}`,
				`{"x":1` + list + `,"` + names[1] + `":"it is late.","` + names[0] + `":"FSS.0500"}`,
				`{"error":{"` + names[0] + `":"FSS.0500","` + names[1] + `":"it is late."}` + list + `}`,
				`{"Response":{"Error":{"` + names[0] + `":"FSS.0500","` + names[1] + `":"it is late."}}` + list + `}`,
			} {
				got, _ := readEnvelope(t, body)
				if diff := cmp.Diff(&EnvelopeError{Code: "FSS.0500", Message: "it is late."}, got); diff != "" {
					t.Errorf("%s: %s", body, diff)
				}
			}
		}
	}
	for body, want := range map[string]EnvelopeError{
		`{"code":429,"RequestId":"a"}`:                        {Code: "429", RequestID: "a"},
		`{"error_msg":"failed"}`:                              {Message: "failed"},
		`{"error_code":null,"error_msg":"failed"}`:            {Message: "failed"},
		`{"error":{"message":"failed","code":""}}`:            {Message: "failed"},
		`{"error":{"type":"Throttled","message":null}}`:       {},
		`{"Response":{"Error":{"Code":"A"},"RequestId":"a"}}`: {Code: "A", RequestID: "a"},
		`{"error":"failed","list":[]}`:                        {Message: "failed"},
		`{"code":0,"message":"ok","errorCode":"Denied"}`:      {Code: "Denied"},
		`{"code":"A","code":"B"}`:                             {Code: "A"},
		`{"code":"\u0000\ud800"}`:                             {Code: "\uFFFD\uFFFD"},
	} {
		got, _ := readEnvelope(t, body)
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
	got, _ := readEnvelope(t, `{"code":1,"message":"`+strings.Repeat("ü", maxEnvelopeText)+`"}`)
	if len(got.Message) > maxEnvelopeText {
		t.Errorf("a message of %d bytes", len(got.Message))
	}
}

// An error is found where another value is in the place of the list.
func TestEnvelopeInsteadOfList(t *testing.T) {
	t.Parallel()
	for value, says := range map[string]string{`""`: "is not a list", `{}`: "is not a list", `{"code":1}`: "is not a list", `null`: "", `[]`: ""} {
		for _, code := range []string{"0", "429"} {
			err := ReadObject(strings.NewReader(`{"list":`+value+`,"code":`+code+`}`), func(name string, r *Reader) error {
				return ReadElements(r, name, 10, func(Element) {})
			})
			var found *EnvelopeError
			if errors.As(err, &found) != (code == "429") {
				t.Errorf("%s, %s: %v", value, code, err)
			}
			if code == "0" && (err == nil) != (says == "") {
				t.Errorf("%s, %s: %v", value, code, err)
			}
		}
	}
}

// An answer may say that it is no error.
func TestEnvelopeOfSuccess(t *testing.T) {
	t.Parallel()
	for _, around := range []string{
		`"error_code":0`, `"error_code":""`, `"error_code":null`, `"error_code":"0"`, `"error_code":"FSS.0000","error_msg":"done"`, `"code":200`,
		`"code":"200","message":"fine"`, `"Code":"OK"`, `"code":"Success","message":"7 records"`, `"code":0,"error_msg":"nothing"`,
		`"message":"7 records"`, `"error":null`, `"error":{}`, `"error":{"code":"","message":""}`, `"error":{"code":null,"message":null}`,
		`"error":{"retryable":false}`, `"error":{"code":"0","message":"ok","type":""}`, `"code":"200 OK"`, `"code":"true"`, `"code":true`,
		`"Response":{"RequestId":"a"}`, `"Response":{"Error":null}`, `"err_code":0,"err_msg":""`, `"error":""`, `"error":false`, `"errorMessage":"","errorCode":" "`, `"RequestId":"a"`, `"code":0.0`,
	} {
		if got, members := readEnvelope(t, `{`+around+`,"list":[{"error_code":"E1"}]}`); got != nil || members != "list " {
			t.Errorf("%s: %v, %s", around, got, members)
		}
	}
}

// A list without an object around it has no envelope. An object in its place may be one.
func TestEnvelopeInPlaceOfList(t *testing.T) {
	t.Parallel()
	var found *EnvelopeError
	listed, err := ReadList(strings.NewReader(`{"error_code":"FSS.0404"}`), func(Element) { t.Error("an element") })
	if listed || !errors.As(err, &found) {
		t.Errorf("%t, %v", listed, err)
	}
}
