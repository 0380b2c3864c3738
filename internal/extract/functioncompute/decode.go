package functioncompute

import (
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/archive"
	"archiver/internal/extract/answer"
)

// An invocationList is one answer, each of its elements an invocation or
// rejected.
type invocationList struct {
	invocations []archive.Invocation
	rejected    []archive.Rejected
	next        string // the token, empty for none
}

// decodeInvocations reads a page of invocations. An error means that the body
// is not such a page, or was cut; a strange element is no error.
func decodeInvocations(body io.Reader, records *recordReader) (l invocationList, err error) {
	l.next, err = decodeList(body, "invocations", func(element jsontext.Value) {
		inv, rejected := records.read(element)
		switch {
		case rejected != nil:
			l.rejected = append(l.rejected, *rejected)
		default:
			l.invocations = append(l.invocations, inv)
		}
	})
	return l, err
}

// A functionList is one answer of the list of functions with the feature on: an
// element for each qualifier, a version or alias, that has it.
type functionList struct {
	functions []qualified
	unusable  int // elements without a service or function
	next      string
}

// A qualified function is one as its records may be filed.
type qualified struct {
	name
	qualifier string // empty for none
}

// decodeFunctions reads a page of functions (SDK models
// ListStatefulAsyncInvocationFunctionsResponseBody, AsyncConfigMeta).
func decodeFunctions(body io.Reader) (l functionList, err error) {
	var objects answer.ObjectReader
	var texts answer.TextReader
	l.next, err = decodeList(body, "data", func(element jsontext.Value) {
		var f qualified
		for field, value := range objects.Members(element) {
			if value.Kind() != '"' {
				continue
			}
			switch string(field) {
			case "serviceName":
				f.service = texts.Text(value)
			case "functionName":
				f.function = texts.Text(value)
			case "qualifier":
				f.qualifier = texts.Text(value)
			}
		}
		if f.service == "" || f.function == "" {
			l.unusable++
			return
		}
		l.functions = append(l.functions, f)
	})
	return l, err
}

// decodeList reads an object with a list of this name and a nextToken. Both may
// be absent: the SDK's models leave out what is empty. But an object of other
// things only is not an answer to our question.
func decodeList(body io.Reader, list string, element func(jsontext.Value)) (next string, err error) {
	ours, others := false, false
	err = answer.ReadObject(body, func(member string, d *jsontext.Decoder) error {
		switch {
		case member == list:
			ours = true
			return answer.ReadElements(d, list, element)
		case member == "nextToken":
			ours = true
			value, err := d.ReadValue()
			if err != nil {
				return err
			}
			next, err = token(value)
			return err
		case !strings.EqualFold(member, "requestId"): // of the call
			others = true
		}
		return d.SkipValue()
	})
	if err == nil && others && !ours {
		err = fmt.Errorf("the answer has no %s", list)
	}
	return next, err
}

// token reads a nextToken. Only one that is absent, null or empty says that the
// list is at its end: what can be none, and is not that, is an error.
func token(value jsontext.Value) (string, error) {
	switch value.Kind() {
	case 'n':
		return "", nil
	case '"':
		return string(answer.Unquote(nil, value)), nil
	case '0':
		return string(value), nil
	}
	return "", fmt.Errorf("nextToken is no text")
}
