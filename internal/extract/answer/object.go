package answer

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// An ObjectReader reads objects, one after the other, with one decoder.
type ObjectReader struct {
	decoder *jsontext.Decoder
	bytes   bytes.Reader
	name    []byte
}

// Open begins an object that has been read once already, so that it is sound;
// a value that is no object has no members.
func (o *ObjectReader) Open(object jsontext.Value) {
	if object.Kind() != '{' {
		object = jsontext.Value("{}")
	}
	o.bytes.Reset(object)
	if o.decoder == nil {
		o.decoder = jsontext.NewDecoder(&o.bytes, Lenient...)
	} else {
		o.decoder.Reset(&o.bytes, Lenient...)
	}
	// A sound object opens with a brace.
	_, _ = o.decoder.ReadToken()
}

// Next is the next member; ok is false after the last. Name and value are
// valid until the next call.
func (o *ObjectReader) Next() (name []byte, value jsontext.Value, ok bool) {
	if o.decoder.PeekKind() != '"' {
		return nil, nil, false
	}
	quoted, err := o.decoder.ReadValue()
	if err != nil {
		return nil, nil, false
	}
	o.name = Unquote(o.name[:0], quoted)
	value, err = o.decoder.ReadValue()
	return o.name, value, err == nil
}
