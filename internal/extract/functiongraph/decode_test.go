package functiongraph

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestDecodeList(t *testing.T) {
	t.Parallel()
	const one = `{"request_id":"a"}`
	cases := map[string]struct {
		body           string
		rows, rejected int
		count, next    int
		fails          string // part of the error
	}{
		"page's sample":          {body: `{"invocations":[` + one + `]}`, rows: 1, count: -1, next: -1},
		"count and marker":       {body: `{"invocations":[],"count":7,"next_marker":500}`, count: 7, next: 500},
		"marker before the list": {body: `{"next_marker":3,"count":2,"invocations":[` + one + `,5]}`, rows: 1, rejected: 1, count: 2, next: 3},
		"strings":                {body: `{"invocations":[],"count":"7","next_marker":"500"}`, count: 7, next: 500},
		"empty strings":          {body: `{"invocations":[],"count":"","next_marker":""}`, count: -1, next: -1},
		"null":                   {body: `{"invocations":null,"count":null,"next_marker":null}`, count: -1, next: -1},
		"floats":                 {body: `{"invocations":[],"count":7.5,"next_marker":5e2}`, count: -1, next: -1},
		"negative":               {body: `{"invocations":[],"count":-7,"next_marker":-1}`, count: -1, next: -1},
		"too large":              {body: `{"invocations":[],"count":99999999999999999999,"next_marker":1e999}`, count: -1, next: -1},
		"other kinds":            {body: `{"invocations":[],"count":{"a":1},"next_marker":[true]}`, count: -1, next: -1},
		"null and a count":       {body: `{"invocations":null,"count":0}`, count: 0, next: -1},
		"list absent, count not": {body: `{"count":0}`, count: 0, next: -1},
		"list twice":             {body: `{"invocations":[` + one + `],"invocations":[` + one + `,` + one + `]}`, rows: 3, count: -1, next: -1},
		"count twice":            {body: `{"invocations":[],"count":1,"count":2}`, count: 2, next: -1},
		"escaped names":          {body: `{"invoc\u0061tions":[{"r\u0065quest_id":"a"}],"\u0063ount":1}`, rows: 1, count: 1, next: -1},
		"unknown members":        {body: `{"x":{"invocations":[1]},"invocations":[` + one + `],"y":[[]]}`, rows: 1, count: -1, next: -1},
		"byte order mark":        {body: "\uFEFF" + `{"invocations":[` + one + `]}`, rows: 1, count: -1, next: -1},
		"space around":           {body: " \r\n{\"invocations\":[ " + one + " ] } \n", rows: 1, count: -1, next: -1},
		"not UTF-8":              {body: "{\"\xff\":1,\"invocations\":[{\"request_id\":\"a\",\"\xfe\":\"\xff\"}]}", rows: 1, count: -1, next: -1},
		"no objects":             {body: `{"invocations":[null,1,"a",[],true,{}]}`, rejected: 6, count: -1, next: -1},

		"empty":              {body: ``, fails: "is empty"},
		"space":              {body: ` `, fails: "is empty"},
		"HTML":               {body: `<html>`, fails: "is not JSON"},
		"list at the top":    {body: `[` + one + `]`, fails: "is not an object"},
		"null at the top":    {body: `null`, fails: "is not an object"},
		"nothing in it":      {body: `{}`, fails: "has no invocations"},
		"an error in it":     {body: `{"error_code":"FSS.0500","error_msg":"x"}`, fails: "FSS.0500 x"},
		"error and list":     {body: `{"error_code":"FSS.0500","invocations":[` + one + `],"count":1}`, fails: "FSS.0500"},
		"null alone":         {body: `{"invocations":null}`, fails: "has no invocations"},
		"marker alone":       {body: `{"next_marker":500}`, fails: "has no invocations"},
		"list is an object":  {body: `{"invocations":{}}`, fails: "not a list"},
		"cut in an element":  {body: `{"invocations":[` + one + `,{"requ`, fails: "cut or broken"},
		"cut after the list": {body: `{"invocations":[` + one + `]`, fails: "cut or broken"},
		"trailing garbage":   {body: `{"invocations":[]}x`, fails: "cut or broken after its end"},
		"two answers":        {body: `{"invocations":[]}{}`, fails: "more data after its end"},
		"comma too many":     {body: `{"invocations":[` + one + `,]}`, fails: "cut or broken"},
		"deeper than JSON":   {body: `{"invocations":[` + strings.Repeat("[", 20_000) + `]}`, fails: "cut or broken"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for kind, body := range map[string]io.Reader{
				"at once":      strings.NewReader(c.body),
				"byte by byte": iotest.OneByteReader(strings.NewReader(c.body)),
			} {
				l, err := decodeInvocations(body)
				if c.fails != "" {
					if err == nil || !strings.Contains(err.Error(), c.fails) {
						t.Errorf("%s: got %v, want an error with %q", kind, err, c.fails)
					}
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", kind, err)
				}
				if len(l.invocations) != c.rows || len(l.rejected) != c.rejected || l.count != c.count || l.next != c.next {
					t.Errorf("%s: %d rows, %d rejected, count %d, next %d", kind, len(l.invocations), len(l.rejected), l.count, l.next)
				}
			}
		})
	}
}

// If the connection fails, at any byte, the error contains its cause.
func TestDecodeBrokenConnection(t *testing.T) {
	t.Parallel()
	whole := `{"invocations":[{"request_id":"a"}],"count":1}`
	broken := errors.New("connection reset by peer")
	for n := range len(whole) + 1 {
		body := io.MultiReader(strings.NewReader(whole[:n]), iotest.ErrReader(broken))
		if _, err := decodeInvocations(body); !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

func TestDecodeFunctions(t *testing.T) {
	t.Parallel()
	l, err := decodeFunctions(strings.NewReader(`{"functions":[
		{"func_urn":"urn:fss:r:p:function:default:a:latest","func_name":"a","memory_size":128},
		{"func_urn":"urn:b"},{"func_urn":"urn:c","func_name":null},{"func_name":"d"},{"func_urn":7},null],
		"count":6,"next_marker":6}`))
	if err != nil {
		t.Fatal(err)
	}
	names := ""
	for _, f := range l.functions {
		names += f.Name + "=" + f.URN + " "
	}
	if want := "a=urn:fss:r:p:function:default:a:latest urn:b=urn:b urn:c=urn:c "; names != want || l.unusable != 3 || l.count != 6 || l.next != 6 {
		t.Errorf("%s, %+v", names, l)
	}
	// Rows are found by these names, and an index holds no longer ones.
	long := strings.Repeat("x", 1<<20)
	l, err = decodeFunctions(strings.NewReader(`{"functions":[{"func_urn":"` + long + `"},{"func_urn":"urn:a","func_name":"` + long + `"}],"count":2}`))
	if err != nil || l.unusable != 1 || len(l.functions) != 1 || l.functions[0].Name != "urn:a" {
		t.Errorf("long names: %d unusable, %d functions, %v", l.unusable, len(l.functions), err)
	}
	v, err := decodeVersions(strings.NewReader(`{"versions":[{"version":"` + long + `"},{"version":"1"}],"count":2}`))
	if err != nil || v.unusable != 1 || len(v.versions) != 1 {
		t.Errorf("long versions: %d unusable, %d versions, %v", v.unusable, len(v.versions), err)
	}
	aliases, err := decodeAliases(strings.NewReader(`[{"name":"` + long + `","version":"1"},{"name":"a","version":"` + long + `"},{"name":"a","version":"1"}]`))
	if err != nil || len(aliases) != 1 {
		t.Errorf("long aliases: %d, %v", len(aliases), err)
	}
	if _, err := decodeFunctions(strings.NewReader(`{"invocations":[]}`)); err == nil {
		t.Error("an answer without functions is accepted")
	}
}
