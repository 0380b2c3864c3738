package functiongraph

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// An objectReader reads objects, one after the other, with one decoder.
type objectReader struct {
	decoder *jsontext.Decoder
	bytes   bytes.Reader
}

// members yields the members of an object that has been read once already, so
// that it is sound; a value that is no object has none. Name and value are
// valid until the next member.
func (o *objectReader) members(object jsontext.Value, yield func(name []byte, value jsontext.Value)) {
	if object.Kind() != '{' {
		return
	}
	o.bytes.Reset(object)
	if o.decoder == nil {
		o.decoder = jsontext.NewDecoder(&o.bytes, lenient...)
	} else {
		o.decoder.Reset(&o.bytes, lenient...)
	}
	if _, err := o.decoder.ReadToken(); err != nil {
		return
	}
	var name []byte
	for o.decoder.PeekKind() == '"' {
		quoted, err := o.decoder.ReadValue()
		if err != nil {
			return
		}
		// An error here means a name that is not UTF-8; it is mended by then.
		name, _ = jsontext.AppendUnquote(name[:0], quoted)
		value, err := o.decoder.ReadValue()
		if err != nil {
			return
		}
		yield(name, value)
	}
}
