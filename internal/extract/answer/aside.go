package answer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"archiver/internal/archive"
)

// MaxElement is the largest size of a record's JSON, in bytes. Of a longer one, a digest is
// kept.
const MaxElement = 16 << 20

// asideEnd is how many bytes are kept of the beginning and of the end of a longer record.
const asideEnd = 64 << 10

// An aside is what is kept of an element that is not read into a record.
type aside struct {
	reason string
	whole  jsontext.Value // if it is not too long; its memory is reused

	size        int64
	sum         hash.Hash
	first, last []byte
}

// newAside returns what is kept of an element, of which begun and more have been read.
func newAside(begun, more []byte) *aside {
	a := &aside{reason: fmt.Sprintf("longer than %d bytes", MaxElement), sum: sha256.New()}
	a.add(begun)
	a.add(more)
	return a
}

func (a *aside) add(part []byte) {
	a.size += int64(len(part))
	_, _ = a.sum.Write(part) // a hash returns no error
	a.first = append(a.first, part[:min(len(part), asideEnd-len(a.first))]...)
	a.last = append(a.last, part[max(0, len(part)-asideEnd):]...)
	if cut := len(a.last) - asideEnd; cut > 0 {
		a.last = a.last[:copy(a.last, a.last[cut:])]
	}
}

// rejected returns the element as it is archived: whole, or as an object with its size, its
// SHA-256, its beginning and its end. The same element gives the same object.
func (a *aside) rejected() *archive.Rejected {
	if a.whole != nil {
		return Rejected(a.whole, time.Time{}, a.reason)
	}
	b := append([]byte(`{"bytes":`), strconv.FormatInt(a.size, 10)...)
	b = append(append(b, `,"sha256":"`...), hex.EncodeToString(a.sum.Sum(nil))...)
	b = appendString(append(b, `","first":`...), a.first)
	b = appendString(append(b, `,"last":`...), a.last)
	return &archive.Rejected{Reason: a.reason, Payload: append(b, '}')}
}

// Rejected returns an element that cannot be stored as a row, with the reason.
func Rejected(element jsontext.Value, start time.Time, reason string) *archive.Rejected {
	return &archive.Rejected{Reason: reason, Start: start, Payload: bytes.Clone(element)}
}

// maxRejected bounds the records of one page that no row can hold, in bytes. Storing such a
// record copies it several times.
const maxRejected = 2 * MaxElement

// A RejectedList is the records of one page that no row can hold.
type RejectedList []archive.Rejected

// Add adds a record, unless there is too much already.
func (l *RejectedList) Add(r *archive.Rejected) {
	if l.Err() == nil {
		*l = append(*l, *r)
	}
}

// Err returns a TooLargeError if a record may be missing.
func (l *RejectedList) Err() error {
	size := 0
	for _, r := range *l {
		size += len(r.Payload)
	}
	if size > maxRejected {
		return TooLarge("has more than %d bytes of records that no row can hold", maxRejected)
	}
	return nil
}
