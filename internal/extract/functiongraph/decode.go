package functiongraph

import (
	"hash/maphash"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/archive"
	"archiver/internal/extract/answer"
)

// An invocationList is one answer, each of its elements an invocation or
// rejected.
type invocationList struct {
	invocations []archive.Invocation
	rejected    []archive.Rejected
	count, next int // -1 for none
}

func (l *invocationList) answered(seed maphash.Seed) answered {
	var h maphash.Hash
	h.SetSeed(seed)
	for i := range l.invocations {
		_, _ = h.WriteString(l.invocations[i].RequestID)
		_ = h.WriteByte(0)
	}
	for i := range l.rejected {
		_, _ = h.Write(l.rejected[i].Payload)
		_ = h.WriteByte(0)
	}
	return answered{len(l.invocations) + len(l.rejected), l.count, l.next, h.Sum64()}
}

// decodeInvocations reads a page of invocations. An error means that the body
// is not such a page, or was cut; a strange element is no error.
func decodeInvocations(body io.Reader) (invocationList, error) {
	l := invocationList{count: -1, next: -1}
	var records recordReader
	err := decodeList(body, "invocations", &l.count, &l.next, func(element jsontext.Value) {
		inv, rejected := records.read(element)
		switch {
		case rejected != nil:
			l.rejected = append(l.rejected, *rejected)
		case l.invocations == nil:
			l.invocations = append(make([]archive.Invocation, 0, maxInvocations), inv)
		default:
			l.invocations = append(l.invocations, inv)
		}
	})
	return l, err
}

// A functionList is one answer of the list of functions.
type functionList struct {
	functions   []archive.Function
	unusable    int // elements without a URN
	count, next int // -1 for none
}

func (l *functionList) answered(seed maphash.Seed) answered {
	var h maphash.Hash
	h.SetSeed(seed)
	for i := range l.functions {
		_, _ = h.WriteString(l.functions[i].URN)
		_ = h.WriteByte(0)
	}
	return answered{len(l.functions) + l.unusable, l.count, l.next, h.Sum64()}
}

// decodeFunctions reads a page of functions (page: Querying Functions).
func decodeFunctions(body io.Reader) (functionList, error) {
	l := functionList{count: -1, next: -1}
	var objects answer.ObjectReader
	var texts answer.TextReader
	err := decodeList(body, "functions", &l.count, &l.next, func(element jsontext.Value) {
		var f archive.Function
		for name, value := range objects.Members(element) {
			if value.Kind() != '"' {
				continue
			}
			switch string(name) {
			case "func_urn":
				f.URN = texts.Text(value)
			case "func_name":
				f.Name = texts.Text(value)
			case "last_modified":
				f.Modified = texts.Text(value)
			}
		}
		if f.URN == "" {
			l.unusable++
			return
		}
		if f.Name == "" {
			f.Name = f.URN
		}
		l.functions = append(l.functions, f)
	})
	return l, err
}

// decodeList reads an object with a list of this name, a count and a
// next_marker (of its own, or in its page_info). A list that is null or absent
// is empty, but an object that has
// neither it nor a count is not an answer to our question.
func decodeList(body io.Reader, name string, count, next *int, element func(jsontext.Value)) error {
	listed := false
	err := answer.ReadObject(body, func(member string, d *jsontext.Decoder) error {
		switch member {
		case name:
			listed = true
			return answer.ReadElements(d, name, element)
		case "count":
			return decodeInteger(d, count)
		case "next_marker":
			return decodeInteger(d, next)
		case "page_info":
			return decodePageInfo(d, next)
		}
		return d.SkipValue()
	})
	if err == nil && !listed && *count < 0 {
		err = &unlistedError{name}
	}
	return err
}

// An unlistedError says that an answer is not one to our question.
type unlistedError struct{ name string }

func (e *unlistedError) Error() string { return "the answer has no " + e.name }

// decodePageInfo reads the next_marker in an object.
func decodePageInfo(d *jsontext.Decoder, next *int) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	var objects answer.ObjectReader
	for name, value := range objects.Members(value) {
		if string(name) == "next_marker" {
			*next = answer.Integer(value)
		}
	}
	return nil
}

// decodeInteger reads an integer or a string that holds one; anything else,
// null included, is as good as absent.
func decodeInteger(d *jsontext.Decoder, n *int) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	*n = answer.Integer(value)
	return nil
}
