package page

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"archiver/internal/load/read"
	"archiver/internal/terminal"

	"github.com/google/go-cmp/cmp"
)

// golden compares got with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), go test -update writes it:\n%s", file, diff)
	}
}

var colours = regexp.MustCompile("\x1b\\[[0-9;]+m")

func (a *archiveDB) print(s Screen) string {
	a.t.Helper()
	var out bytes.Buffer
	if _, err := a.page.Print(a.t.Context(), &out, s); err != nil {
		a.t.Fatal(err)
	}
	return sizes.ReplaceAllString(out.String(), "0 MB")
}

// sizes differ between versions of PostgreSQL.
var sizes = regexp.MustCompile(`[0-9.]+ [kMG]B`)

// fits checks that no line is wider than the screen, and that the only control
// characters are colours.
func fits(t *testing.T, columns int, printed string) {
	t.Helper()
	for line := range strings.SplitSeq(strings.TrimSuffix(printed, "\n"), "\n") {
		bare := colours.ReplaceAllString(line, "")
		if width := terminal.Width(bare); width > columns {
			t.Errorf("%d columns: %s", width, bare)
		}
		for _, r := range bare {
			if !unicode.IsPrint(r) {
				t.Errorf("%q is printed in %q", r, bare)
			}
		}
	}
}

// TestPrint prints one archive on screens of several widths, with and without
// colours, and compares with the golden files. Colours must not change the
// text.
func TestPrint(t *testing.T) {
	t.Parallel()
	a := story(t)
	a.hostile()
	for _, columns := range []int{40, 80, 160} {
		bare, coloured := a.print(Screen{Columns: columns}), a.print(Screen{Columns: columns, Color: true})
		fits(t, columns, bare)
		fits(t, columns, coloured)
		golden(t, fmt.Sprintf("status-%d.txt", columns), bare)
		golden(t, fmt.Sprintf("status-%d-colour.txt", columns), coloured)
		if colours.ReplaceAllString(coloured, "") != bare {
			t.Error("colours change the text")
		}
		if coloured == bare {
			t.Error("there are no colours")
		}
	}
	for columns := range 60 {
		fits(t, max(columns, minColumns), a.print(Screen{Columns: columns}))
	}
	few, all := a.print(Screen{Columns: 80}), a.print(Screen{Columns: 80, All: true})
	if !strings.Contains(few, "… and 5 more functions: --all shows them") || strings.Contains(all, "--all") {
		t.Errorf("%d and %d lines", strings.Count(few, "\n"), strings.Count(all, "\n"))
	}
	if strings.Count(all, "users-purge") != 2 || strings.Contains(few, "users-purge") {
		t.Error("--all does not show all functions, or the default does")
	}
}

// TestPrintHostile prints names and errors with control characters and with
// wide characters.
func TestPrintHostile(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	for _, name := range []string{
		"\x1b[2J\x1b]0;taken\a", "one\r\ntwo\tthree", "right\u202eleft", "支払い処理-支払い処理-支払い処理-支払い処理", "👩‍👩‍👧‍👦 family", "e\u0301\u0301\u0301", "\u009b31mred", "a\u200bb",
	} {
		id := a.function(name)
		a.windows(id, at(3, 0), at(0, 7), 40)
		a.state(id, at(1, 0), at(1, 3), "failed", name+" "+name)
	}
	a.run("once", at(0, 8), 0, "failed")
	for _, columns := range []int{24, 40, 80, 160} {
		fits(t, columns, a.print(Screen{Columns: columns}))
		fits(t, columns, a.print(Screen{Columns: columns, Color: true}))
	}
	if got := a.print(Screen{Columns: 160}); !strings.Contains(got, "\uFFFD[2J\uFFFD]0;taken\uFFFD") || !strings.Contains(got, "支払い処理") {
		t.Errorf("names are not shown, or not sanitized:\n%s", got)
	}
}

// Functions of one name are told apart, however long it is.
func TestAlike(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	const name = "orders-import-of-a-very-long-name-indeed"
	for _, of := range []string{"cn-north-4/v3", "ap-southeast-1/latest", "cn-north-4/latest"} {
		region, version, _ := strings.Cut(of, "/")
		id := a.function(name)
		a.exec(`UPDATE functions SET region = $2, function_urn = $3 WHERE function_id = $1`, id, region, "urn:fss:"+region+":p:function:default:"+name+":"+version)
		a.windows(id, at(3, 0), at(0, 7), 40)
	}
	printed, page := a.print(Screen{Columns: 80}), a.get("/")
	for _, mark := range []string{"cn-north-4, latest", "cn-north-4, v3", "ap-southeast-1, latest"} {
		if !strings.Contains(printed, "… ("+mark+") ") && !strings.Contains(printed, "… ("+mark+")\n") {
			t.Errorf("status does not show %q", mark)
		}
		if !strings.Contains(page, `<small class="of"><bdi>`+mark+`</bdi></small>`) {
			t.Errorf("the page does not show %q", mark)
		}
	}
	if t.Failed() {
		t.Log(printed)
	}
}

// A report has all functions, with any number of them.
func TestReportOfMany(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	for n := range 250 {
		a.function(fmt.Sprintf("f%03d", n))
	}
	var report bytes.Buffer
	if err := a.page.Report(t.Context(), &report); err != nil {
		t.Fatal(err)
	}
	for n := range 250 {
		if name := fmt.Sprintf(">f%03d<", n); strings.Count(report.String(), name) < len(zooms) {
			t.Fatalf("the report does not have %s in each zoom", name)
		}
	}
}

// TestPrintEmpty prints an empty archive, and an archive that has only a
// function.
func TestPrintEmpty(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	if got := a.print(Screen{Columns: 80}); got != "0 functions, 0 of 0 windows complete, 0 records, 0 in flight, 0 rejected\nNothing is archived yet. The first run plans the hours that are due.\n" {
		t.Errorf("printed\n%s", got)
	}
	a.function("first")
	if got := a.print(Screen{Columns: 80}); strings.Contains(got, "COVERAGE") || !strings.Contains(got, "first") {
		t.Errorf("printed\n%s", got)
	}
}

// The page and the status say who keeps the archiver waiting.
func TestLockWaits(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	since := now.Add(-time.Hour)
	var page, screen bytes.Buffer
	err := a.page.load(t.Context(), request{page: 1}, func(l *loader) error {
		if len(l.waits) != 0 {
			t.Errorf("waits: %+v", l.waits)
		}
		l.waits = []read.LockWait{{PID: 7, Since: now.Add(-2 * time.Minute), Lock: "claims", Holder: 9, Role: "dba", Application: "psql", HolderSince: &since}}
		m, err := l.model(t.Context())
		if err != nil {
			return err
		}
		if err := templates.ExecuteTemplate(&page, "page", m); err != nil {
			return err
		}
		p := &printer{Screen: Screen{Columns: 80}}
		err = l.print(t.Context(), p)
		screen = p.out
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = "for 2 min, session 7 waits for a lock (claims) that session 9 of role dba (psql) keeps it from since 2026-03-14T08:25:00Z"
	for name, text := range map[string]string{"page": page.String(), "status": screen.String()} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("the %s lacks %q:\n%s", name, want, text)
		}
	}
}
