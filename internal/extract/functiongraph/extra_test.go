package functiongraph

import (
	"strings"
	"testing"
)

// oddFields are fields without a column, with the stored value of each.
var oddFields = map[string]struct{ value, want string }{
	"literals":           {`[null,true,false]`, `[null,true,false]`},
	"text":               {`"a b"`, `"a b"`},
	"numbers":            {`[0,-1.50,1e9,1E-300]`, `[0,-1.50,1e9,1E-300]`},
	"digits in a text":   {`"1e99999 ] } {"`, `"1e99999 ] } {"`},
	"object":             {`{"a":{"b":[1,2]}}`, `{"a":{"b":[1,2]}}`},
	"names twice":        {`{"a":1,"a":2}`, `{"a":1,"a":2}`},
	"NUL":                {`"a\u0000b"`, "\"a\uFFFDb\""},
	"NUL in a name":      {`{"\u0000":1}`, "{\"\uFFFD\":1}"},
	"unpaired surrogate": {`["\ud800","\udc00x"]`, "[\"\uFFFD\",\"\uFFFDx\"]"},
	"surrogate pair":     {`"\ud83d\ude00"`, `"😀"`},
	"not UTF-8":          {"[\"a\xff\"]", "[\"a\uFFFD\"]"},
	"other scripts":      {`"異步"`, `"異步"`},
	"escapes":            {`"\"\\\/\b\n\u0001"`, `"\"\\/\b\n\u0001"`},
	"exponent too large": {`1e131073`, `"1e131073"`},
	"exponent too small": {`[1e-16384]`, `["1e-16384"]`},
	"exponent endless":   {`{"a":1e99999999999999999999}`, `{"a":"1e99999999999999999999"}`},
	"exponent padded":    {`1e+0000000300`, `1e+0000000300`},
	"number too long":    {strings.Repeat("9", 200_000), `"` + strings.Repeat("9", 200_000) + `"`},
	"deep":               {strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat("[", 64) + strings.Repeat("]", 64)},
	"too deep":           {strings.Repeat("[", 65) + strings.Repeat("]", 65), `"` + strings.Repeat("[", 65) + strings.Repeat("]", 65) + `"`},
	"far too deep":       {strings.Repeat(`{"\u0000":`, 9000) + "1" + strings.Repeat("}", 9000), `"` + strings.Repeat(`{\"\\u0000\":`, 9000) + "1" + strings.Repeat("}", 9000) + `"`},
}

func TestExtra(t *testing.T) {
	t.Parallel()
	for name, c := range oddFields {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inv, why := decodeOne(t, `{"request_id":"a","odd":`+c.value+`}`)
			if why != nil {
				t.Fatal(why.Reason)
			}
			if want := `{"odd":` + c.want + `}`; string(inv.Extra) != want {
				t.Errorf("got  %.200s\nwant %.200s", inv.Extra, want)
			}
		})
	}
	inv, _ := decodeOne(t, `{"request_id":"a","x\u0000\ud800":1,"y":[2],"y":"\u0000"}`)
	if want := "{\"x\uFFFD\uFFFD\":1,\"y\":[2],\"y\":\"\uFFFD\"}"; string(inv.Extra) != want {
		t.Errorf("got %s, want %s", inv.Extra, want)
	}
}
