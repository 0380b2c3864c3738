package answer

import (
	"bytes"
	"iter"

	"github.com/go-json-experiment/json/jsontext"
)

// An ObjectReader reads objects one after the other and reuses its decoder.
type ObjectReader struct {
	decoder *jsontext.Decoder
	bytes   bytes.Buffer // a decoder does not copy what is in a bytes.Buffer
	name    []byte
}

// Members yields the members of an object. The object must be valid JSON, as a
// decoder returned it. A value that is not an object has no members. The memory
// of name and value is reused for the next member.
func (o *ObjectReader) Members(object jsontext.Value) iter.Seq2[[]byte, jsontext.Value] {
	return func(yield func([]byte, jsontext.Value) bool) {
		if object.Kind() != '{' {
			return
		}
		o.bytes = *bytes.NewBuffer(object)
		if o.decoder == nil {
			o.decoder = jsontext.NewDecoder(&o.bytes, LenientOptions...)
		} else {
			o.decoder.Reset(&o.bytes, LenientOptions...)
		}
		// A valid object begins with a brace.
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
