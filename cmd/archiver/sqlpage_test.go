package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/load"
	"archiver/internal/load/days"
	"archiver/internal/load/figures"
	"archiver/internal/load/pg"
	"archiver/internal/loop"
	"archiver/internal/pgserver/pgtest"
	"archiver/internal/simulate/dataset"
	"archiver/internal/sources"
	"archiver/internal/supervise"
)

// The archive that docs/sql.md asks: what the demo archives, on seven evenings.
const (
	pageFunctions = 10
	pageDays      = 7
)

var pageFrom = time.Date(2026, 11, 14, 0, 0, 0, 0, time.UTC)

// question is a block of SQL and the block of text below it.
var question = regexp.MustCompile("(?s)```sql\n(.*?)```\n(?:\n```text\n(.*?)```\n)?")

// TestSQLPage runs each block of SQL in docs/sql.md exactly as it stands, as the
// role archiver_reader, and compares what comes with the block below it. With
// -update it writes that instead.
func TestSQLPage(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "sql.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	url := pgtest.Database(t)
	archiveForPage(t, url)
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, `SET timezone = 'UTC'; SET ROLE archiver_reader`); err != nil {
		t.Fatal(err)
	}
	asked := 0
	written := question.ReplaceAllFunc(page, func(block []byte) []byte {
		asked++
		m := question.FindSubmatch(block)
		got, err := ask(ctx, conn, string(m[1]))
		if err != nil {
			t.Errorf("%s\n%v", m[1], err)
			return block
		}
		if diff := cmp.Diff(string(m[2]), got); diff != "" && !*update {
			t.Errorf("%s\n(-page +database):\n%s", m[1], diff)
		}
		return []byte("```sql\n" + string(m[1]) + "```\n\n```text\n" + got + "```\n")
	})
	if blocks := bytes.Count(page, []byte("```sql\n")); asked != blocks || asked < 12 {
		t.Errorf("%d of %d blocks of SQL were run", asked, blocks)
	}
	if *update {
		if err := os.WriteFile(path, written, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// archiveForPage archives the days, each on the morning after, as the demo does.
func archiveForPage(t *testing.T, url string) {
	t.Helper()
	ctx, log := t.Context(), slog.New(slog.DiscardHandler)
	if err := supervise.MigrateUp(ctx, url, log); err != nil {
		t.Fatal(err)
	}
	db, err := pg.Open(ctx, url, 8, log)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for n := range pageDays {
		from := pageFrom.AddDate(0, 0, n)
		to := from.AddDate(0, 0, 1)
		clock := clocktest.New(to.Add(time.Hour))
		simulated, stop, err := demoSource(ctx, dataset.GenerateOptions{
			Functions: pageFunctions, Invocations: pageFunctions * generatedPerFunction, Date: from, Seed: 1,
		}, clock, log)
		if err != nil {
			t.Fatal(err)
		}
		source, err := sources.Open(ctx, &simulated, nil, log)
		if err != nil {
			t.Fatal(err)
		}
		archiver := &loop.Archiver{Source: source, Store: load.New(db, days.New(db)), Clock: clock, Log: log, Settle: 10 * time.Minute, SourceRetention: keepsForLong, Concurrency: 4}
		order := archive.Order{AskedBy: "demo", Range: archive.Span{From: from, To: to}}
		_, err = archiver.Archive(ctx, order, new(archive.Progress))
		stop()
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := figures.Count(ctx, db, archive.SystemClock{}, 0); err != nil {
		t.Fatal(err)
	}
	if err := days.New(db).Analyze(ctx); err != nil {
		t.Fatal(err)
	}
}

// ask is the answer as psql prints it, but for blanks at ends of lines.
func ask(ctx context.Context, conn *pgx.Conn, sql string) (string, error) {
	rows, err := conn.Query(ctx, sql, pgx.QueryExecModeSimpleProtocol) // all values as text
	if err != nil {
		return "", err
	}
	defer rows.Close()
	fields := rows.FieldDescriptions()
	width := make([]int, len(fields))
	var lines [][]string
	add := func(cells []string) {
		for i, c := range cells {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
		lines = append(lines, cells)
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	add(names)
	for rows.Next() {
		cells := make([]string, len(fields))
		for i, v := range rows.RawValues() {
			cells[i] = strings.ReplaceAll(string(v), "\n", "↵")
		}
		add(cells)
	}
	if err := rows.Err(); err != nil {
		return "", err
	}
	var b strings.Builder
	for n, cells := range lines {
		var line strings.Builder
		for i, c := range cells {
			blanks := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c))
			if isNumber(fields[i].DataTypeOID) && n > 0 {
				line.WriteString(" " + blanks + c + " ")
			} else {
				line.WriteString(" " + c + blanks + " ")
			}
			if i < len(cells)-1 {
				line.WriteString("|")
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		if n == 0 {
			for i, w := range width {
				b.WriteString(strings.Repeat("-", w+2))
				if i < len(width)-1 {
					b.WriteString("+")
				}
			}
			b.WriteString("\n")
		}
	}
	n := len(lines) - 1
	fmt.Fprintf(&b, "(%d %s)\n", n, map[bool]string{true: "row", false: "rows"}[n == 1])
	return b.String(), nil
}

func isNumber(oid uint32) bool {
	switch oid {
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.Float4OID, pgtype.Float8OID, pgtype.NumericOID:
		return true
	}
	return false
}
