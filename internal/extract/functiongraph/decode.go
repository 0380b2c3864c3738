package functiongraph

import (
	"cmp"
	"hash/maphash"
	"io"
	"strconv"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/extract/answer"
)

// An invocationList is one decoded page. Each element of the page is in
// invocations or in rejected.
type invocationList struct {
	pageSummary
	invocations []archive.Invocation
	rejected    answer.RejectedList
	share       *extract.Share // of the budget for answers
}

// decodeInvocations reads a page of invocations. An error means that the body is
// not such a page, or is cut. An element that is not an invocation is rejected,
// without an error.
func decodeInvocations(body io.Reader) (l invocationList, err error) {
	var records recordReader
	l.pageSummary, err = decodeList(body, "invocations", maxInvocations, func(element answer.Element) (key string) {
		inv, rejected := records.read(element)
		if rejected != nil {
			l.rejected.Add(rejected)
			return strconv.FormatUint(maphash.Bytes(digestSeed, rejected.Payload), 16)
		}
		if l.invocations == nil {
			l.invocations = make([]archive.Invocation, 0, maxInvocations)
		}
		l.invocations = append(l.invocations, inv)
		return inv.RequestID
	})
	return l, cmp.Or(err, l.rejected.Err())
}

// A functionList is one decoded page of the list of functions.
type functionList struct {
	pageSummary
	functions []archive.Function
	unusable  int // elements without a URN that the archive can hold
}

// decodeFunctions reads a page of functions (page: Querying Functions).
func decodeFunctions(body io.Reader) (l functionList, err error) {
	var objects answer.ObjectReader
	var texts answer.TextReader
	l.pageSummary, err = decodeList(body, "functions", maxFunctions, func(element answer.Element) (key string) {
		var f archive.Function
		for name, value := range objects.Members(element.Value) {
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
		if f.URN == "" || len(f.URN) > maxURN {
			l.unusable++
			return f.URN
		}
		if f.Name == "" || len(f.Name) > maxURN {
			f.Name = f.URN
		}
		l.functions = append(l.functions, f)
		return f.URN
	})
	return l, err
}

// decodeList reads an object with a list called name, a count, and a next_marker
// (in the object, or in its page_info). An absent list is empty if there is a count, and
// so is a list that is null if there is a count or a marker, of any value. Any other
// object is an answer.MissingListError.
// pageSize is the number of elements of the largest page. element decodes an element, and
// returns a key by which a page that comes again is recognized.
func decodeList(body io.Reader, name string, pageSize int, element func(answer.Element) (key string)) (pageSummary, error) {
	page := pageSummary{count: -1, next: -1}
	var keys maphash.Hash
	keys.SetSeed(digestSeed)
	listed, null, paged := false, false, false
	err := answer.ReadObject(body, func(member string, r *answer.Reader) error {
		paged = paged || member == "count" || member == "next_marker" || member == "page_info"
		switch member {
		case name:
			isNull := r.PeekKind() == 'n'
			listed, null = listed || !isNull, null || isNull
			return answer.ReadElements(r, name, answer.MaxElements*pageSize, func(e answer.Element) {
				page.elements++
				_, _ = keys.WriteString(element(e))
				_ = keys.WriteByte(0)
			})
		case "count":
			return decodeInteger(r, &page.count)
		case "next_marker":
			return decodeInteger(r, &page.next)
		case "page_info":
			return decodePageInfo(r, &page.next)
		}
		return r.SkipValue()
	})
	if err == nil && !listed && page.count < 0 && !(null && paged) {
		err = &answer.MissingListError{Name: name, Null: null}
	}
	page.digest = keys.Sum64()
	return page, err
}

func decodePageInfo(r *answer.Reader, next *int) error {
	value, err := r.ReadValue()
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
func decodeInteger(r *answer.Reader, n *int) error {
	value, err := r.ReadValue()
	if err != nil {
		return err
	}
	*n = answer.Integer(value)
	return nil
}
