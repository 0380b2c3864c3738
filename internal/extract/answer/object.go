package answer

import (
	"bytes"
	"iter"

	"github.com/go-json-experiment/json/jsontext"
)

// An ObjectReader reads objects, one after the other, with one decoder.
type ObjectReader struct {
	decoder *jsontext.Decoder
	bytes   bytes.Reader
	name    []byte
}

// Members are those of an object that has been read once already, so that it is
// sound; a value that is no object has none. Name and value are valid until the
// next.
func (o *ObjectReader) Members(object jsontext.Value) iter.Seq2[[]byte, jsontext.Value] {
	return func(yield func([]byte, jsontext.Value) bool) {
		if object.Kind() != '{' {
			return
		}
		o.bytes.Reset(object)
		if o.decoder == nil {
			o.decoder = jsontext.NewDecoder(&o.bytes, Lenient...)
		} else {
			o.decoder.Reset(&o.bytes, Lenient...)
		}
		// A sound object opens with a brace.
		_, _ = o.decoder.ReadToken()
		for o.decoder.PeekKind() == '"' {
			quoted, err := o.decoder.ReadValue()
			if err != nil {
				return
			}
			o.name = Unquote(o.name[:0], quoted)
			value, err := o.decoder.ReadValue()
			if err != nil || !yield(o.name, value) {
				return
			}
		}
	}
}
