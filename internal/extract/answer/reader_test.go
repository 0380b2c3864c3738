package answer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// A repeated is a body that is not held in memory: its head, its middle many times, its tail.
func repeated(head, middle string, times int, tail string) io.Reader {
	together := max(1, 1<<10/len(middle))
	block := strings.Repeat(middle, together)
	parts := []io.Reader{strings.NewReader(head)}
	for ; times > 0; times -= together {
		parts = append(parts, strings.NewReader(block[:len(middle)*min(times, together)]))
	}
	return io.MultiReader(append(parts, strings.NewReader(tail))...)
}

// readList reads a list, and returns its elements as they are archived.
func readList(body io.Reader, most int) (elements []string, err error) {
	err = ReadObject(body, func(name string, r *Reader) error {
		if name != "list" {
			return r.SkipValue()
		}
		return ReadElements(r, name, most, func(e Element) {
			if e.Aside != nil {
				elements = append(elements, e.Aside.Reason+" "+string(e.Aside.Payload))
			} else {
				elements = append(elements, string(e.Value))
			}
		})
	})
	return elements, err
}

// What is held of an answer is bounded, in any shape: the answer is too large as a
// whole, or an element of it is kept aside, or a member is skipped.
func TestBounds(t *testing.T) {
	const mega = 1 << 20
	object := func(list string) string { return `{"list":[` + list }
	for name, c := range map[string]struct {
		body     io.Reader
		fails    string // of a TooLargeError
		elements int
		aside    int // of these
		reason   string
	}{
		"tiny elements":             {body: repeated(object(`1`), `,1`, 3_000_000, `]}`), fails: "more than 2000 list", elements: 2000},
		"empty elements":            {body: repeated(object(`{}`), `,{}`, 1999, `]}`), elements: 2000},
		"a long element":            {body: repeated(object(`1,{"m":"`), `x`, 128*mega, `"},2]}`), elements: 3, aside: 1, reason: "longer than 16777216 bytes"},
		"long elements":             {body: repeated(object(`1`), `,"`+strings.Repeat(`\"`, 8*mega)+`"`, 6, `]}`), elements: 7, aside: 6, reason: "longer"},
		"many keys":                 {body: repeated(object(`{"a":0`), `,"a":1`, 4*mega, `},3]}`), elements: 2, aside: 1, reason: "longer"},
		"a huge number":             {body: repeated(object(``), `1`, 40*mega, `]}`), elements: 1, aside: 1, reason: "longer"},
		"invalid UTF-8":             {body: repeated(object(`{"m":"`), "\xff", 6*mega, `"}]}`), elements: 1, aside: 1, reason: "longer"},
		"deep":                      {body: io.MultiReader(repeated(object(``), `[`, 20_000, ``), repeated(``, `]`, 20_000, `,1]}`)), elements: 2, aside: 1, reason: "deeper than 10000"},
		"very deep":                 {body: io.MultiReader(repeated(object(``), `[`, 10*mega, ``), repeated(``, `]`, 10*mega, `,1]}`)), elements: 2, aside: 1, reason: "longer"},
		"spaces":                    {body: repeated(object(``), ` `, 70*mega, `1]}`), fails: "longer than 67108864 bytes"},
		"a long member":             {body: repeated(`{"other":"`, `x`, 60*mega, `","list":[1]}`), elements: 1},
		"a longer member":           {body: repeated(`{"other":"`, `x`, 70*mega, `","list":[1]}`), elements: 1},
		"a long message":            {body: repeated(`{"message":"`, `x`, 60*mega, `","list":[1]}`), elements: 1},
		"a long error":              {body: repeated(`{"errorMessage":"`, `x`, 2*mega, `","list":[1]}`), fails: "member of more than 1048576 bytes"},
		"a long name":               {body: repeated(`{"`, `x`, 60*mega, `":1,"list":[1]}`), elements: 1},
		"many members":              {body: repeated(`{"list":[1]`, `,"x":0`, 12*mega, `}`), fails: "more than 10000 members", elements: 1},
		"after the end":             {body: repeated(`{"list":[1]}`, ` `, 70*mega, ``), fails: "longer than 67108864 bytes", elements: 1},
		"as long as may be":         {body: repeated(object(`1`), `,"`+strings.Repeat("x", 8*mega-6)+`"`, 7, `]}`), elements: 8},
		"large elements, one over":  {body: repeated(object(`1`), `,"`+strings.Repeat("x", 8*mega-6)+`"`, 9, `]}`), fails: "longer than 67108864 bytes", elements: 9},
		"a list in place of a list": {body: repeated(object(`[0`), `,0`, 10*mega, `]]}`), elements: 1, aside: 1, reason: "longer"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			elements, aside := 0, 0
			err := ReadObject(c.body, func(name string, r *Reader) error {
				if name != "list" {
					return r.SkipValue()
				}
				return ReadElements(r, name, 2000, func(e Element) {
					elements++
					if e.Aside != nil {
						aside++
						if !strings.Contains(e.Aside.Reason, c.reason) {
							t.Errorf("kept aside since %s, want %s", e.Aside.Reason, c.reason)
						}
						if len(e.Aside.Payload) > 5*asideEnd {
							t.Errorf("of a long element %d bytes are kept", len(e.Aside.Payload))
						}
					}
				})
			})
			runtime.ReadMemStats(&after)
			// The buffer doubles until it holds an element; a digest copies some 200 KiB.
			if got := int(after.TotalAlloc - before.TotalAlloc); got > 4*MaxElement {
				t.Errorf("%d MiB were allocated", got>>20)
			}
			var large *TooLargeError
			switch {
			case c.fails == "" && err != nil:
				t.Error(err)
			case c.fails != "" && (!errors.As(err, &large) || !strings.Contains(err.Error(), c.fails)):
				t.Errorf("got %v, want %s", err, c.fails)
			}
			if elements != c.elements || aside != c.aside {
				t.Errorf("%d elements, %d kept aside, want %d and %d", elements, aside, c.elements, c.aside)
			}
		})
	}
}

// A digest has the element's size, its hash, its beginning and its end.
func TestAside(t *testing.T) {
	t.Parallel()
	element := `{"m":"` + strings.Repeat("ü", MaxElement/2) + `","z":"end"}`
	whole, err := readList(strings.NewReader(`{"list":[`+element+`]}`), 1)
	if err != nil || len(whole) != 1 {
		t.Fatalf("%d elements, %v", len(whole), err)
	}
	slowly, err := readList(iotest.HalfReader(strings.NewReader(`{"list":[`+element+`]}`)), 1)
	if err != nil || whole[0] != slowly[0] {
		t.Errorf("read in other pieces, another digest: %v", err)
	}
	reason, payload, _ := strings.Cut(whole[0], "bytes ")
	var got struct {
		Bytes               int
		SHA256, First, Last string
	}
	if err := json.Unmarshal([]byte(payload), &got); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(element))
	if got.Bytes != len(element) || got.SHA256 != hex.EncodeToString(sum[:]) || reason != fmt.Sprintf("longer than %d ", MaxElement) {
		t.Errorf("%s: %d bytes, %s", reason, got.Bytes, got.SHA256)
	}
	if !strings.HasPrefix(element, strings.TrimRight(got.First, "\uFFFD")) || !strings.HasSuffix(element, strings.TrimLeft(got.Last, "\uFFFD")) ||
		min(len(got.First), len(got.Last)) < asideEnd {
		t.Errorf("the beginning has %d bytes, the end %d", len(got.First), len(got.Last))
	}
}

// However a body arrives, its values are found.
func TestReader(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]string{
		`{"list":[1,"a\"]\\",{"b":[{}],"c":"}"},[],null,-1.5e3 , true]}`: {`1`, `"a\"]\\"`, `{"b":[{}],"c":"}"}`, `[]`, `null`, `-1.5e3`, `true`},
		`{"list":[],"list":[ 1 ]}`:                                       {`1`},
		`{"list":[1 2]}`:                                                 nil, `{"list":[1,]}`: nil, `{"list":[,1]}`: nil, `{"list":[1}`: nil, `{"list":[1]]`: nil, `{"list":[{]}]}`: nil,
		`{"list":[01]}`: nil, `{"list":["a` + "\n" + `"]}`: nil, `{"list":[nul]}`: nil, `{list:[]}`: nil, `{"list" []}`: nil, `{"list":[]`: nil,
		`{"list":[]}}`: nil, `{"list":[]},`: nil, `{"list":[1`: nil, `{"list":["`: nil, `{,"list":[]}`: nil, `{"list":[],}`: nil, `{"x":}`: nil,
	} {
		for kind, r := range map[string]io.Reader{
			"at once": strings.NewReader(body), "byte by byte": iotest.OneByteReader(strings.NewReader(body)), "with its end": iotest.DataErrReader(strings.NewReader(body)),
		} {
			got, err := readList(r, 10)
			if want == nil {
				if err == nil {
					t.Errorf("%s %s: no error", body, kind)
				}
				continue
			}
			if err != nil || strings.Join(got, "|") != strings.Join(want, "|") {
				t.Errorf("%s %s: %q, %v", body, kind, got, err)
			}
		}
	}
	failed := errors.New("reset")
	if _, err := readList(io.MultiReader(strings.NewReader(`{"list":[1`), iotest.ErrReader(failed)), 10); !errors.Is(err, failed) {
		t.Errorf("the error of the body is %v", err)
	}
}

// The texts and further fields of a record of the largest size are bounded as well.
func TestRecordMemory(t *testing.T) {
	for name, value := range map[string]string{
		"a string":      `"` + strings.Repeat("x", MaxElement-100) + `"`,
		"escapes":       `"` + strings.Repeat(`\u0001`, (MaxElement-100)/6) + `"`,
		"NUL":           `"` + strings.Repeat(`\u0000`, (MaxElement-100)/6) + `"`,
		"other letters": `"` + strings.Repeat("ü", (MaxElement-100)/2) + `"`,
		"a list":        `["` + strings.Repeat("x", MaxElement-100) + `"]`,
		"letters":       `["` + strings.Repeat("ü", (MaxElement-100)/2) + `"]`,
		"a number":      strings.Repeat("1", MaxElement-100),
		"numbers":       `[1` + strings.Repeat(",1", (MaxElement-100)/2) + `]`,
	} {
		t.Run(name, func(t *testing.T) { // not parallel: it measures what is allocated
			element := []byte(`{"a":` + value + `}`)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var objects ObjectReader
			var texts TextReader
			var extra ExtraFields
			n := 0
			for name, value := range objects.Members(element) {
				n = len(texts.Text(value))
				extra.Add(name, value)
			}
			kept := len(extra.Object())
			runtime.ReadMemStats(&after)
			// With the race detector one of them takes 17 times.
			if got := int(after.TotalAlloc - before.TotalAlloc); got > 18*MaxElement {
				t.Errorf("%d MiB were allocated", got>>20)
			}
			if n == 0 || kept > 2*MaxExtra {
				t.Errorf("a text of %d bytes, %d bytes of further fields", n, kept)
			}
		})
	}
}
