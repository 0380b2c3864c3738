package answer

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// fields returns the extra fields of an object, as encoding/json reads them.
func fields(t *testing.T, object string) (kept map[string]any, size int) {
	t.Helper()
	var e ExtraFields
	for name, value := range new(ObjectReader).Members(jsontext.Value(object)) {
		e.Add(name, value)
	}
	extra := e.Object()
	if err := json.Unmarshal(extra, &kept); err != nil {
		t.Fatalf("%v: %.200s", err, extra)
	}
	return kept, len(extra)
}

// A payload of the documented size is whole, with other fields next to it.
func TestExtraWithinBound(t *testing.T) {
	t.Parallel()
	payload := strings.Repeat("x", 1<<20)
	kept, _ := fields(t, `{"returnPayload":"`+payload+`","events":[{"eventId":1}],"durationMs":7}`)
	if kept["returnPayload"] != payload || kept["durationMs"] != 7.0 || fmt.Sprint(kept["events"]) != "[map[eventId:1]]" {
		t.Errorf("%.300v", kept)
	}
}

// Fields beyond the bound are cut and marked, in their shape. The others stay whole.
func TestExtraBeyondBound(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 2<<20)
	event := `{"eventId":1,"detail":"` + strings.Repeat("d", 1000) + `"}`
	for name, value := range map[string]string{
		"text": `"` + long + `"`, "list": `[` + strings.Repeat(event+",", 4000) + event + `]`, "object": `{"a":"` + long + `","b":{"c":"` + long + `"},"z":1}`,
		"texts": `["` + long + `","` + long + `"]`, "numbers": `[` + strings.Repeat("1234567,", 1<<20) + `1]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kept, size := fields(t, `{"before":[1,{"x":null}],"long":`+value+`,"after":true,"invocationId":"id"}`)
			if size > MaxExtra+MaxExtra/8 || size < MaxExtra/8 {
				t.Errorf("%d bytes", size)
			}
			if fmt.Sprint(kept["before"]) != "[1 map[x:<nil>]]" || kept["after"] != true || kept["invocationId"] != "id" || len(kept) != 4 {
				t.Errorf("the other fields are not whole: %.300v", kept)
			}
			text, _ := json.Marshal(kept["long"])
			if text[0] != value[0] || !strings.Contains(string(text), "(cut, ") {
				t.Errorf("%.100s … %s", text, text[len(text)-100:])
			}
			if object, ok := kept["long"].(map[string]any); ok && object["z"] != 1.0 {
				t.Errorf("the field after the long one is lost: %s", text[len(text)-100:])
			}
		})
	}
}

// Many fields are kept as far as there is room, and what is left out is marked.
func TestExtraOfManyFields(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 400_000 {
		fmt.Fprintf(&b, `"field-%d":"%d",`, i, i)
	}
	kept, size := fields(t, `{`+b.String()+`"last":1}`)
	if kept["field-0"] != "0" || kept["…"] == nil || size > MaxExtra+MaxExtra/8 {
		t.Errorf("%d fields, %d bytes, %v", len(kept), size, kept["…"])
	}
}

// Each level of a deep value that is cut is closed.
func TestExtraCutDeep(t *testing.T) {
	t.Parallel()
	const depth = MaxDepth - 1
	kept, _ := fields(t, `{"deep":`+strings.Repeat(`{"a":[`, depth/2)+`"`+strings.Repeat("x", 9<<20)+`","y"`+strings.Repeat(`]}`, depth/2)+`,"n":1}`)
	if kept["n"] != 1.0 || kept["deep"] == nil {
		t.Errorf("%.100v", kept)
	}
}
