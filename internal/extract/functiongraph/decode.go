package functiongraph

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/archive"
)

// maxBody bounds an answer in bytes: 500 records with a message of a megabyte
// each would still pass, an endless body does not fill the memory.
const maxBody = 640 << 20

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
	var objects objectReader
	var texts textReader
	err := decodeList(body, "functions", &l.count, &l.next, func(element jsontext.Value) {
		var f archive.Function
		objects.open(element)
		for {
			name, value, ok := objects.next()
			if !ok {
				break
			}
			if value.Kind() != '"' {
				continue
			}
			switch string(name) {
			case "func_urn":
				f.URN = texts.text(value)
			case "func_name":
				f.Name = texts.text(value)
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
// next_marker (of its own, or in its page_info), to the end of the body, so that
// its connection can be used again. A list that is null or absent is empty, but an object that has
// neither it nor a count is not an answer to our question.
func decodeList(body io.Reader, name string, count, next *int, element func(jsontext.Value)) error {
	d := jsontext.NewDecoder(withoutMark(io.LimitReader(body, maxBody)), lenient...)
	opening, err := d.ReadToken()
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("the answer is empty")
	case err != nil:
		return fmt.Errorf("the answer is not JSON: %w", err)
	case opening.Kind() != '{':
		return errors.New("the answer is not an object")
	}
	listed := false
	for d.PeekKind() != '}' {
		member, err := d.ReadToken()
		if err != nil {
			return fmt.Errorf("the answer is cut or broken: %w", err)
		}
		switch member.String() {
		case name:
			listed, err = true, decodeElements(d, name, element)
		case "count":
			err = decodeInteger(d, count)
		case "next_marker":
			err = decodeInteger(d, next)
		case "page_info":
			err = decodePageInfo(d, next)
		default:
			err = d.SkipValue()
		}
		if err != nil {
			return fmt.Errorf("the answer is cut or broken: %w", err)
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return fmt.Errorf("the answer is cut or broken: %w", err)
	}
	switch _, err := d.ReadToken(); {
	case err == nil:
		return errors.New("the answer goes on behind its end")
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("the answer is cut or broken behind its end: %w", err)
	}
	if !listed && *count < 0 {
		return fmt.Errorf("the answer has no %s", name)
	}
	return nil
}

// withoutMark leaves out a byte order mark at the beginning, which RFC 8259
// lets a reader of JSON do.
func withoutMark(body io.Reader) io.Reader {
	head := make([]byte, 3)
	n, err := io.ReadFull(body, head)
	if n < len(head) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return errorReader{err}
	}
	if head = head[:n]; string(head) == "\uFEFF" {
		return body
	}
	return io.MultiReader(bytes.NewReader(head), body)
}

// An errorReader fails.
type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func decodeElements(d *jsontext.Decoder, name string, element func(jsontext.Value)) error {
	opening, err := d.ReadToken()
	switch {
	case err != nil:
		return err
	case opening.Kind() == 'n':
		return nil
	case opening.Kind() != '[':
		return fmt.Errorf("%s is not a list", name)
	}
	for d.PeekKind() != ']' {
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		element(value)
	}
	_, err = d.ReadToken()
	return err
}

// decodePageInfo reads the next_marker in an object.
func decodePageInfo(d *jsontext.Decoder, next *int) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	var objects objectReader
	objects.open(value)
	for {
		name, value, ok := objects.next()
		if !ok {
			return nil
		}
		if string(name) == "next_marker" {
			*next = integer(value)
		}
	}
}

// decodeInteger reads an integer or a string that holds one; anything else,
// null included, is as good as absent.
func decodeInteger(d *jsontext.Decoder, n *int) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	*n = integer(value)
	return nil
}
