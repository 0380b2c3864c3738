package functiongraph

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// An objectReader reads objects, one after the other, with one decoder.
type objectReader struct {
	decoder *jsontext.Decoder
	bytes   bytes.Reader
	name    []byte
}

// open begins an object that has been read once already, so that it is sound;
// a value that is no object has no members.
func (o *objectReader) open(object jsontext.Value) {
	if object.Kind() != '{' {
		object = jsontext.Value("{}")
	}
	o.bytes.Reset(object)
	if o.decoder == nil {
		o.decoder = jsontext.NewDecoder(&o.bytes, lenient...)
	} else {
		o.decoder.Reset(&o.bytes, lenient...)
	}
	// A sound object opens with a brace.
	_, _ = o.decoder.ReadToken()
}

// next is the next member; ok is false after the last. Name and value are
// valid until the next call.
func (o *objectReader) next() (name []byte, value jsontext.Value, ok bool) {
	if o.decoder.PeekKind() != '"' {
		return nil, nil, false
	}
	quoted, err := o.decoder.ReadValue()
	if err != nil {
		return nil, nil, false
	}
	o.name = unquote(o.name[:0], quoted)
	value, err = o.decoder.ReadValue()
	return o.name, value, err == nil
}
