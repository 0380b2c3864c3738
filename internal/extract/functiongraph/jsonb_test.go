package functiongraph

import (
	"bytes"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"archiver/internal/extract/answer"
	"archiver/internal/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// PostgreSQL accepts each stored value. One rejected value would fail the COPY
// of a whole page.
func TestPostgreSQLTakesExtra(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	take := func(name string, extra []byte, texts ...string) {
		t.Helper()
		// Stored, and read back.
		var written int
		if err := conn.QueryRow(ctx, "SELECT length($1::text::jsonb::text)", string(extra)).Scan(&written); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, text := range texts {
			var same string
			if err := conn.QueryRow(ctx, "SELECT $1::text", text).Scan(&same); err != nil || same != text {
				t.Errorf("%s: %q comes back as %q, %v", name, text, same, err)
			}
		}
	}
	for name, c := range oddFields {
		inv, why := decodeOne(t, `{"request_id":"a","odd":`+c.value+`}`)
		if why != nil {
			t.Fatal(why.Reason)
		}
		take(name, inv.Extra)
		// The same values in text columns.
		inv, _ = decodeOne(t, `{"request_id":"a","status":`+c.value+`,"error_code":`+c.value+`,"error_message":`+c.value+`}`)
		take(name+" as text", []byte("{}"), inv.Status, inv.ErrorCode, inv.ErrorMessage)
	}

	// The largest number of values in an element, more than is kept.
	for name, filling := range map[string]string{
		"numbers": "1,", "lists": "[],", "texts": `"",`, "objects": `{"":1},`, "large numbers": "1e999,", "small numbers": "1e-999,",
	} {
		list := strings.TrimSuffix(strings.Repeat(filling, answer.MaxExtra/len(filling)), ",")
		inv, why := decodeOne(t, `{"request_id":"a","odd":[`+list+`],"more":[`+list+`]}`)
		if why != nil {
			t.Fatal(why.Reason)
		}
		if !bytes.Contains(inv.Extra, []byte(`"odd":[`)) || !bytes.Contains(inv.Extra, []byte(`"more":[`)) || !bytes.Contains(inv.Extra, []byte("(cut")) {
			t.Errorf("%s: not cut in its shape", name)
		}
		take(name, inv.Extra)
	}
}
