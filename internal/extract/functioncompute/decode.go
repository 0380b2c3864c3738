package functioncompute

import (
	"cmp"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/archive"
	"archiver/internal/extract/answer"
)

// An invocationList is one decoded page. Each element of the page is in
// invocations or in rejected.
type invocationList struct {
	invocations []archive.Invocation
	rejected    answer.RejectedList
	next        string // of the next page; empty at the end of the list
}

// decodeInvocations reads a page of invocations. An error means that the body
// is not such a page, or is cut. An element that is not an invocation is
// rejected, without an error.
func decodeInvocations(body io.Reader, records *recordReader) (l invocationList, err error) {
	l.next, err = decodeList(body, "invocations", func(element answer.Element) {
		inv, rejected := records.read(element)
		if rejected != nil {
			l.rejected.Add(rejected)
			return
		}
		l.invocations = append(l.invocations, inv)
	})
	return l, cmp.Or(err, l.rejected.Err())
}

// A functionList is one decoded page of the functions that keep records. It has
// one element for each qualifier (version or alias) of a function.
type functionList struct {
	functions []qualifiedFunction
	unusable  int // elements without a service or function, or with a name that the archive cannot hold
	next      string
}

// A qualifiedFunction is a function with one of its qualifiers.
type qualifiedFunction struct {
	functionName
	qualifier string // may be empty
}

// maxName bounds a name, in bytes. A name of Function Compute has at most 64 (page:
// CreateFunction, functionName).
const maxName = 512

// decodeFunctions reads a page of functions (SDK models
// ListStatefulAsyncInvocationFunctionsResponseBody, AsyncConfigMeta).
func decodeFunctions(body io.Reader) (l functionList, err error) {
	var objects answer.ObjectReader
	var texts answer.TextReader
	l.next, err = decodeList(body, "data", func(element answer.Element) {
		var f qualifiedFunction
		for field, value := range objects.Members(element.Value) {
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
		if f.service == "" || f.function == "" || max(len(f.service), len(f.function), len(f.qualifier)) > maxName {
			l.unusable++
			return
		}
		l.functions = append(l.functions, f)
	})
	return l, err
}

// decodeList reads an object with the list and a nextToken. An absent list is empty if
// there is a token, and so is a list that is null if there is a nextToken of any value.
// Any other object is an answer.MissingListError.
func decodeList(body io.Reader, list string, element func(answer.Element)) (next string, err error) {
	listed, null, paged := false, false, false
	err = answer.ReadObject(body, func(member string, r *answer.Reader) error {
		switch member {
		case list:
			isNull := r.PeekKind() == 'n'
			listed, null = listed || !isNull, null || isNull
			return answer.ReadElements(r, list, answer.MaxElements*maxLimit, element)
		case "nextToken":
			paged = true
			value, err := r.ReadValue()
			if err != nil {
				return err
			}
			next, err = token(value)
			return err
		}
		return r.SkipValue()
	})
	if err == nil && !listed && next == "" && !(null && paged) {
		err = &answer.MissingListError{Name: list, Null: null}
	}
	return next, err
}

// token reads a nextToken that is not absent. Only null and "" mean the end of
// the list. A value that is not a string or a number is an error.
func token(value jsontext.Value) (string, error) {
	switch value.Kind() {
	case 'n':
		return "", nil
	case '"':
		return string(answer.Unquote(nil, value)), nil
	case '0':
		return string(value), nil
	}
	return "", fmt.Errorf("nextToken is not a string")
}
