package functiongraph

import (
	"hash/maphash"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/archive"
	"archiver/internal/extract/answer"
)

// An invocationList is one decoded page. Each element of the page is in
// invocations or in rejected.
type invocationList struct {
	invocations []archive.Invocation
	rejected    []archive.Rejected
	count, next int // -1 for none
}

func (l invocationList) summary(seed maphash.Seed) pageSummary {
	return pageSummary{len(l.invocations) + len(l.rejected), l.count, l.next, answer.PageDigest(seed, l.invocations, l.rejected)}
}

// decodeInvocations reads a page of invocations. An error means that the body is
// not such a page, or is cut. An element that is not an invocation is rejected,
// without an error.
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

// A functionList is one decoded page of the list of functions.
type functionList struct {
	functions   []archive.Function
	unusable    int // elements without a URN
	count, next int // -1 for none
}

func (l functionList) summary(seed maphash.Seed) pageSummary {
	var h maphash.Hash
	h.SetSeed(seed)
	for i := range l.functions {
		_, _ = h.WriteString(l.functions[i].URN)
		_ = h.WriteByte(0)
	}
	return pageSummary{len(l.functions) + l.unusable, l.count, l.next, h.Sum64()}
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

// decodeList reads an object with a list called name, a count, and a next_marker
// (in the object, or in its page_info). A list that is null or absent is empty.
// An object without list and count is an error: it answers another request.
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
		err = &missingListError{name}
	}
	return err
}

// A missingListError means that the answer is an object without the list.
type missingListError struct{ name string }

func (e *missingListError) Error() string { return "the answer has no " + e.name }

// decodePageInfo reads the next_marker in a page_info object.
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

// decodeInteger reads an integer, or a string that holds one. Any other value,
// also null, sets n to -1, as if the member were absent.
func decodeInteger(d *jsontext.Decoder, n *int) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	*n = answer.Integer(value)
	return nil
}
