package answer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// What is read of an answer at most, in bytes.
const (
	// MaxBody bounds a body, unpacked, without the elements that are kept aside.
	MaxBody = 64 << 20

	// maxWhole bounds a body with these elements, which are read and not held.
	maxWhole = 1 << 30

	// maxMember bounds the value of a member that is not the list. A longer one is skipped.
	maxMember = 1 << 20

	readSize = 16 << 10
)

// maxMembers is how many members an answer may have around its list.
const maxMembers = 10_000

// maxNesting is how deep arrays and objects may lie in each other. It is jsontext's limit.
const maxNesting = 10_000

// A TooLargeError means that an answer is larger than what is read of an answer. A
// smaller question may be answered.
type TooLargeError struct{ what string }

func (e *TooLargeError) Error() string { return "the answer " + e.what }

// TooLarge returns a TooLargeError that says what is too large, such as "is longer than 9 bytes".
func TooLarge(format string, args ...any) error {
	return &TooLargeError{fmt.Sprintf(format, args...)}
}

// A Reader reads the JSON of an answer value by value, and holds one value at a time.
type Reader struct {
	body   io.Reader
	buffer []byte
	unread []byte // of buffer
	value  []byte // that was read last
	held   int64  // bytes of the body, without the elements that are kept aside
	whole  int64  // bytes of the body
	ended  error  // of the body
}

// NewReader returns a Reader of a body, which may begin with a byte order mark, as RFC 8259
// allows.
func NewReader(body io.Reader) *Reader {
	const mark = "\uFEFF"
	b := bufio.NewReaderSize(body, 16)
	if head, _ := b.Peek(len(mark)); string(head) == mark { // the next read returns an error of Peek
		_, _ = b.Discard(len(mark))
	}
	return &Reader{body: b, buffer: make([]byte, readSize)}
}

// fill reads on after all that was read is used. Its error is io.EOF at the end.
func (r *Reader) fill() error {
	for len(r.unread) == 0 {
		switch {
		case r.ended != nil:
			return r.ended
		case r.held > MaxBody:
			return TooLarge("is longer than %d bytes", MaxBody)
		case r.whole > maxWhole:
			return TooLarge("is longer than %d bytes", maxWhole)
		}
		var n int
		n, r.ended = r.body.Read(r.buffer)
		r.unread = r.buffer[:n]
		r.held, r.whole = r.held+int64(n), r.whole+int64(n)
	}
	return nil
}

// peek returns the next byte that is not a space, and does not use it.
func (r *Reader) peek() (byte, error) {
	for {
		for i, c := range r.unread {
			if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
				r.unread = r.unread[i:]
				return c, nil
			}
		}
		r.unread = nil
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
}

// skip uses the byte that peek has returned.
func (r *Reader) skip() { r.unread = r.unread[1:] }

// next reports whether an array or object, of which n elements were read, has another one.
// It uses the comma before that, or the closing bracket.
func (r *Reader) next(n int, closing byte) (bool, error) {
	c, err := r.peek()
	switch {
	case err != nil:
		return false, notEnded(err)
	case c == closing:
		r.skip()
		return false, nil
	case n == 0:
		return true, nil
	case c != ',':
		return false, errors.New("it is not JSON: a comma is missing")
	}
	r.skip()
	return true, nil
}

// PeekKind returns the kind of the next value; 0 if there is none, or none is valid.
func (r *Reader) PeekKind() jsontext.Kind {
	c, err := r.peek()
	if err != nil {
		return 0
	}
	return jsontext.Value{c}.Kind()
}

// ReadValue reads a value that decides something. Its memory is reused for the next one. A
// value that is longer than maxMember is a TooLargeError.
func (r *Reader) ReadValue() (jsontext.Value, error) {
	value, long, err := r.read(maxMember)
	if long != nil {
		return nil, TooLarge("has a member of more than %d bytes", maxMember)
	}
	return value, err
}

// readEnvelope reads a member of the envelope, of which a long text decides nothing.
func (r *Reader) readEnvelope(plain string) (jsontext.Value, error) {
	if plain == "message" || plain == "requestid" {
		value, long, err := r.read(maxMember)
		if long != nil {
			value = jsontext.Value("null")
		}
		return value, err
	}
	return r.ReadValue()
}

// SkipValue reads a value of any length.
func (r *Reader) SkipValue() error {
	_, _, err := r.read(maxMember)
	return err
}

// read reads a value. Of a value longer than most it returns what is kept aside.
func (r *Reader) read(most int) (jsontext.Value, *aside, error) {
	first, err := r.peek()
	if err != nil {
		return nil, nil, notEnded(err)
	}
	r.value = r.value[:0]
	var long *aside
	s := scanner{scalar: !strings.ContainsRune(`{["`, rune(first))}
	for done := false; !done; {
		err := r.fill()
		if errors.Is(err, io.EOF) && s.scalar {
			break
		} else if err != nil {
			return nil, nil, notEnded(err)
		}
		var n int
		n, done = s.end(r.unread)
		part := r.unread[:n]
		r.unread = r.unread[n:]
		switch {
		case long != nil:
			long.add(part)
			r.held -= int64(n)
		case len(r.value)+n > most:
			long = newAside(r.value, part)
			r.held -= int64(len(r.value) + n)
		default:
			r.value = appendWithin(r.value, part, most)
		}
	}
	switch value := jsontext.Value(r.value); {
	case long != nil:
		return nil, long, nil
	case s.deepest > maxNesting:
		return nil, &aside{reason: fmt.Sprintf("nested deeper than %d levels", maxNesting), whole: value}, nil
	case !value.IsValid(LenientOptions...):
		return nil, nil, errors.New("it is not JSON")
	case lenAsUTF8(value) > most:
		return nil, newAside(value, nil), nil
	default:
		return value, nil, nil
	}
}

// appendWithin is append, and allocates at most most bytes.
func appendWithin(b, more []byte, most int) []byte {
	if need := len(b) + len(more); need > cap(b) {
		grown := make([]byte, len(b), min(max(2*cap(b), need, 1<<10), max(most, need)))
		copy(grown, b)
		b = grown
	}
	return append(b, more...)
}

// lenAsUTF8 is the length of a value after each invalid byte has become U+FFFD.
func lenAsUTF8(value jsontext.Value) int {
	if utf8.Valid(value) {
		return len(value)
	}
	n := 0
	for rest := []byte(value); len(rest) > 0; {
		c, size := utf8.DecodeRune(rest)
		n, rest = n+utf8.RuneLen(c), rest[size:]
	}
	return n
}

// notEnded is the error of a body that ends too early.
func notEnded(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// A scanner finds the end of a value by its quotes and brackets.
type scanner struct {
	scalar         bool // the value has neither
	text, escaped  bool
	depth, deepest int
}

// end returns how many of the next bytes belong to the value, and whether it ends there.
func (s *scanner) end(b []byte) (n int, done bool) {
	quote := -1 // the next one, len(b) for none, as of the last search
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case s.scalar:
			if strings.IndexByte(",:]} \t\r\n", c) >= 0 {
				return i, true
			}
		case s.escaped:
			s.escaped = false
		case s.text:
			if quote < i {
				if quote = i + bytes.IndexByte(b[i:], '"'); quote < i {
					quote = len(b)
				}
			}
			if escape := bytes.IndexByte(b[i:quote], '\\'); escape >= 0 {
				s.escaped, i = true, i+escape
			} else if i = quote; quote < len(b) {
				if s.text = false; s.depth == 0 {
					return i + 1, true
				}
			}
		case c == '"':
			s.text = true
		case c == '{' || c == '[':
			s.depth++
			s.deepest = max(s.deepest, s.depth)
		case c == '}' || c == ']':
			if s.depth--; s.depth <= 0 {
				return i + 1, true
			}
		}
	}
	return len(b), false
}
