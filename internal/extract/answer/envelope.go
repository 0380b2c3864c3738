package answer

import (
	"cmp"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// An EnvelopeError is an error that an answer with a success status has in its
// envelope: in the object around the list.
type EnvelopeError struct {
	Code      string // may be empty
	Message   string // may be empty
	RequestID string // the call's id at the source; may be empty
}

func (e *EnvelopeError) Error() string {
	return strings.Join(strings.Fields("the answer is an error: "+e.Code+" "+e.Message), " ")
}

// An envelope collects the members around an answer's list that say whether the call
// succeeded. Services and gateways write these members under different names:
// error_code and error_msg, errorCode and errorMessage, err_code and err_msg, code and
// message, each in any case, or an object "error" with such members, also within an object
// "Response".
type envelope struct {
	code, message, id string
	isError           bool // without a code: a text under the name of an error
	succeeded         bool // a code says so
}

// envelopeNames are the names of the members, in lower case without underscores.
var envelopeNames = []string{"code", "errorcode", "message", "errormsg", "errormessage", "error", "errcode", "errmsg", "response", "requestid"}

// envelopeName returns the name's form in envelopeNames, or "" if it is another name.
func envelopeName(name string) string {
	if len(name) > len("error_message") {
		return ""
	}
	plain := strings.ReplaceAll(strings.ToLower(name), "_", "")
	if !slices.Contains(envelopeNames, plain) {
		return ""
	}
	return plain
}

// maxEnvelopeText is how much is kept of a text, in bytes. It is more than any secret has
// that the text may repeat: a part of a secret could not be recognized and redacted.
const maxEnvelopeText = 64 << 10

// add adds a member. The name is from envelopeName.
func (e *envelope) add(name string, value jsontext.Value) {
	switch kind := value.Kind(); {
	case kind == '{' && (name == "error" || name == "response"):
		e.addWithin(name, value)
		return
	case kind != '"' && kind != '0':
		return
	}
	var texts TextReader
	text := texts.Text(value)
	text = strings.ToValidUTF8(text[:min(len(text), maxEnvelopeText)], "")
	switch {
	case name == "requestid":
		e.id = text
	case meansSuccess(text):
		e.succeeded = e.succeeded || strings.HasSuffix(name, "code") && text != ""
	case strings.HasSuffix(name, "code"):
		e.code = cmp.Or(e.code, text)
	default:
		e.message = cmp.Or(e.message, text)
		e.isError = e.isError || name != "message"
	}
}

// addWithin adds the members of an object "error", or the error in an object "Response".
func (e *envelope) addWithin(object string, value jsontext.Value) {
	var objects ObjectReader
	var texts TextReader
	for inner, value := range objects.Members(value) {
		name := envelopeName(string(inner))
		switch {
		case object == "response":
			if name == "error" || name == "requestid" {
				e.add(name, value)
			}
		case value.Kind() == '"' && name == "":
			e.isError = e.isError || !meansSuccess(texts.Text(value))
		case name == "message":
			e.add("errormessage", value)
		case name != "" && value.Kind() != '{':
			e.add(name, value)
		}
	}
}

// err returns the error that the envelope contains, if any.
func (e *envelope) err() error {
	if e.code == "" && (e.succeeded || !e.isError) {
		return nil
	}
	return &EnvelopeError{Code: e.code, Message: e.message, RequestID: e.id}
}

// ReadError reads the body of an answer with an error status. Of a body that is not a
// complete JSON object, nothing is read.
func ReadError(body io.Reader) EnvelopeError {
	around, err := readObject(NewReader(body), func(_ string, r *Reader) error { return r.SkipValue() })
	if err != nil {
		return EnvelopeError{}
	}
	return EnvelopeError{Code: around.code, Message: around.message, RequestID: around.id}
}

// meansSuccess reports whether a code or a message is empty, zero (0, FSS.0000), an HTTP
// status of success, or a word for success.
func meansSuccess(text string) bool {
	text = strings.ToLower(strings.TrimSpace(text))
	if slices.Contains([]string{"", "ok", "success", "succeeded", "none", "null", "no error", "true", "yes", "200 ok"}, text) {
		return true
	}
	number := text[strings.LastIndexByte(text, '.')+1:]
	return number != "" && strings.Trim(number, "0") == "" || len(text) == 3 && text[0] == '2' && strings.Trim(text, "0123456789") == ""
}
