package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
)

// Every kind of column, at its ends, comes back as it was copied in.
func TestCopyRoundTrip(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	instants := []time.Time{
		{},
		time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC),
		time.Date(1969, 12, 31, 23, 59, 59, 999999_000, time.UTC),
		time.Unix(0, 0).UTC(),
		epoch, epoch.Add(-time.Microsecond), epoch.Add(time.Microsecond),
		time.Date(9999, 12, 31, 23, 59, 59, 999999_000, time.UTC),
	}
	texts := []string{"", "a", " ", "0", "\\N", "tab\tline\nquote\"", "é🜚�", strings.Repeat("x", 1<<20)}
	numbers := []int32{1, 0, -1, 1<<31 - 1, -1 << 31}
	extras := [][]byte{nil, []byte(`{}`), []byte(`{"a": [1, null, true, "\\"]}`)}
	var rows []row
	for i := range 40 {
		rows = append(rows, row{
			firstArchived: noted, updated: instants[1+i%(len(instants)-1)],
			start: instants[i%len(instants)], end: instants[(i+3)%len(instants)], queried: instants[(i+5)%len(instants)],
			functionID: numbers[i%len(numbers)], requestID: fmt.Sprintf("r%02d", i), status: archive.StatusWait,
			sourceStatus: texts[i%len(texts)], errorCode: texts[(i+1)%len(texts)], errorMessage: texts[(i+2)%len(texts)],
			extra: extras[i%len(extras)],
		})
	}
	var got []row
	inTx(t, a, func(ctx context.Context, tx pgx.Tx) error {
		if err := copyIn(ctx, tx.Conn(), pointers(rows)); err != nil {
			return err
		}
		answer, err := tx.Query(ctx, `SELECT `+existingColumns+`, true FROM invocations_in_flight ORDER BY request_id`)
		if err != nil {
			return err
		}
		got, err = pgx.CollectRows(answer, func(pgx.CollectableRow) (r row, err error) {
			var e existing
			err = scanRow(answer, &e)
			return e.row, err
		})
		return err
	})
	if diff := cmp.Diff(rows, got, cmp.AllowUnexported(row{})); diff != "" {
		t.Errorf("(-in +out):\n%.4000s", diff)
	}
}

func inTx(t *testing.T, a *archiveDB, f func(context.Context, pgx.Tx) error) {
	t.Helper()
	ctx := t.Context()
	if err := pgx.BeginFunc(ctx, a.SQL, func(tx pgx.Tx) error { return f(ctx, tx) }); err != nil {
		t.Fatal(err)
	}
}

// However the reader is read and wherever the chunks' borders fall, the bytes
// are the same.
func TestCopyReaderChunks(t *testing.T) {
	t.Parallel()
	text := func(n int) row { return row{requestID: "r", status: "WAIT", errorMessage: strings.Repeat("m", n)} }
	overhead := len(appendRow(nil, &row{requestID: "r", status: "WAIT"})) + len(copyHeader)
	for name, rows := range map[string][]row{
		"none":                    nil,
		"one":                     {text(10)},
		"a byte below the border": {text(copyChunk - overhead - 1), text(1)},
		"on the border":           {text(copyChunk - overhead), text(1)},
		"a byte above the border": {text(copyChunk - overhead + 1), text(1)},
		"a megabyte":              {text(10), text(1 << 20), text(10)},
		"many":                    slicesRepeat(text(100), 1000),
	} {
		want := []byte(copyHeader)
		for i := range rows {
			want = appendRow(want, &rows[i])
		}
		want = append(want, 0xff, 0xff)
		for how, wrap := range map[string]func(io.Reader) io.Reader{
			"whole":    func(r io.Reader) io.Reader { return r },
			"halves":   iotest.HalfReader,
			"one byte": iotest.OneByteReader,
		} {
			if how == "one byte" && len(want) > 200_000 {
				continue
			}
			got, err := io.ReadAll(wrap(&copyReader{rows: pointers(rows)}))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s, read in %s: %d bytes, want %d", name, how, len(got), len(want))
			}
		}
		reader := &copyReader{rows: pointers(rows)}
		if _, err := io.Copy(io.Discard, reader); err != nil {
			t.Fatal(err)
		}
		if n, err := reader.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("%s, after its end: %d, %v", name, n, err)
		}
	}
}

// copyHeader is the beginning of COPY's binary format: signature, flags, no
// extension.
const copyHeader = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"

func pointers(rows []row) (list []*row) {
	for i := range rows {
		list = append(list, &rows[i])
	}
	return list
}

func slicesRepeat(r row, n int) []row {
	rows := make([]row, n)
	for i := range rows {
		rows[i] = r
	}
	return rows
}

// Messages of a megabyte are stored and compared like ordinary ones.
func TestCommitMegabyteMessages(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	records := many(50, hours(today, 1), "r")
	for i := range records {
		if i%10 == 3 {
			records[i].ErrorMessage = strings.Repeat(fmt.Sprint(i%10), 1<<20)
		}
	}
	commit(t, c, page(hours(today, 1), noted, records...))
	if kept := commit(t, c, page(hours(today, 1), later, records...)); kept.Unchanged != len(records) {
		t.Errorf("again: %+v", kept)
	}
	if n := value[int64](a, `SELECT sum(length(error_message)) FROM invocations`); n != 5<<20 {
		t.Errorf("%d characters of messages", n)
	}
}
