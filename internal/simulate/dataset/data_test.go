package dataset_test

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"archiver/internal/simulate/dataset"

	"github.com/google/go-cmp/cmp"
)

var (
	day  = time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC)
	noon = day.Add(12 * time.Hour)
)

func generate(t testing.TB, functions, invocations int) *dataset.Data {
	t.Helper()
	d, err := dataset.Generate(dataset.GenerateOptions{
		Functions: functions, Invocations: invocations, Date: day, Seed: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func collect(d *dataset.Data) [][]dataset.Record {
	all := make([][]dataset.Record, len(d.Functions()))
	for i := range all {
		all[i] = slices.Collect(d.Records(i))
	}
	return all
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ functions, invocations int }{
		{1, 0}, {1, 1}, {1, 1000}, {40, 100_000}, {140, 200_000}, {1000, 500},
	} {
		t.Run(fmt.Sprint(c.functions, " functions ", c.invocations, " invocations"), func(t *testing.T) {
			t.Parallel()
			d := generate(t, c.functions, c.invocations)
			if len(d.Functions()) != c.functions {
				t.Errorf("%d functions, want %d", len(d.Functions()), c.functions)
			}
			ids := map[string]bool{}
			hours := map[[2]int]int{}
			var counts []int
			for i, records := range collect(d) {
				counts = append(counts, len(records))
				check(t, records)
				for _, r := range records {
					ids[r.RequestID] = true
					hours[[2]int{i, r.Start.Hour()}]++
				}
			}
			if len(ids) != c.invocations {
				t.Errorf("%d distinct request ids, want %d", len(ids), c.invocations)
			}
			if c.invocations < 100*c.functions || c.functions < 2 {
				return
			}
			slices.Sort(counts)
			if top := sum(counts[len(counts)*9/10:]); top < c.invocations/3 {
				t.Errorf("the busiest tenth of the functions has %d of %d invocations", top, c.invocations)
			}
			if share := float64(len(hours)) / float64(24*c.functions); share < 0.4 || share > 0.6 {
				t.Errorf("%.2f of the functions' hours have invocations, want about half", share)
			}
		})
	}
}

// check checks what must hold for every list of settled records.
func check(t *testing.T, records []dataset.Record) {
	t.Helper()
	for i, r := range records {
		failed := r.Status == dataset.StatusFail || r.Status == dataset.StatusDiscard
		if len(r.RequestID) != 36 || r.Start.Before(day) || !r.Start.Before(day.AddDate(0, 0, 1)) || r.End.Before(r.Start) ||
			!failed && r.Status != dataset.StatusSuccess || failed != (r.ErrorCode != 0) || failed != (r.ErrorMessage != "") {
			t.Fatalf("record %d: %+v", i, r)
		}
		if i > 0 && r.Start.Before(records[i-1].Start) {
			t.Fatalf("record %d starts before the one before it", i)
		}
	}
}

func sum(counts []int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

func TestSameSeedSameRecords(t *testing.T) {
	t.Parallel()
	prefix := writeTrace(t)
	for name, load := range map[string]func(time.Time, uint64) (*dataset.Data, error){
		"trace": func(date time.Time, seed uint64) (*dataset.Data, error) {
			return dataset.LoadTrace(prefix, date, seed)
		},
		"generate": func(date time.Time, seed uint64) (*dataset.Data, error) {
			return dataset.Generate(dataset.GenerateOptions{Functions: 7, Invocations: 3000, Date: date, Seed: seed})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			records := func(date time.Time, seed uint64) [][]dataset.Record {
				d, err := load(date, seed)
				if err != nil {
					t.Fatal(err)
				}
				return collect(d)
			}
			first := records(day, 1)
			if diff := cmp.Diff(first, records(noon, 1)); diff != "" {
				t.Errorf("the same day and seed differ:\n%s", diff)
			}
			if cmp.Equal(first, records(day, 2)) {
				t.Error("another seed gives the same records")
			}
			ids := map[string]bool{}
			for _, all := range [][][]dataset.Record{first, records(day.AddDate(0, 0, 1), 1), records(day, 2)} {
				for _, r := range slices.Concat(all...) {
					if ids[r.RequestID] {
						t.Fatalf("request id %s comes again on another day or with another seed", r.RequestID)
					}
					ids[r.RequestID] = true
				}
			}
		})
	}
}

func TestRefusedDays(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]dataset.GenerateOptions{
		"no functions":         {Invocations: 1, Date: day},
		"negative invocations": {Functions: 1, Invocations: -1, Date: day},
		"no date":              {Functions: 1, Invocations: 1},
	} {
		if _, err := dataset.Generate(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Each minute has as many records as the trace says. ARCHIVER_TEST_TRACE names a
// published trace; without it the test uses a small one.
func TestTraceSums(t *testing.T) {
	t.Parallel()
	prefix := os.Getenv("ARCHIVER_TEST_TRACE")
	if prefix == "" {
		prefix = writeTrace(t)
	}
	d, err := dataset.LoadTrace(prefix, day, 1)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(prefix + "_inv.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	names := d.Functions()
	if len(names) != len(rows)-1 {
		t.Fatalf("%d functions, want %d", len(names), len(rows)-1)
	}
	for i, row := range rows[1:] {
		got := make([]int, 24*60)
		for r := range d.Records(i) {
			got[int(r.Start.Sub(day)/time.Minute)]++
		}
		for minute, cell := range row[3:] {
			v, err := strconv.ParseFloat(cell, 64)
			if err != nil {
				t.Fatal(err)
			}
			if want := int(math.Round(v)); got[minute] != want {
				t.Fatalf("%s minute %d: %d records, want %d", row[0], minute+1, got[minute], want)
			}
		}
		if names[i] != row[0] {
			t.Errorf("function %d is %s, want %s", i, names[i], row[0])
		}
	}
}

func TestTraceRecords(t *testing.T) {
	t.Parallel()
	d, err := dataset.LoadTrace(writeTrace(t), noon, 1)
	if err != nil {
		t.Fatal(err)
	}
	all := collect(d)
	var counts []int
	for _, records := range all {
		check(t, records)
		counts = append(counts, len(records))
	}
	if diff := cmp.Diff([]int{1212, 0, 2}, counts); diff != "" {
		t.Fatalf("records per function (-want +got):\n%s", diff)
	}
	var below, beyond int
	for _, r := range all[0] {
		switch took := r.End.Sub(r.Start); {
		case r.Status == dataset.StatusDiscard:
		case took < time.Second || took > 90*time.Second:
			t.Errorf("a duration of %s, outside the percentiles", took)
		case took < 20*time.Second:
			below++
		case took > 20*time.Second:
			beyond++
		}
	}
	if below < 400 || beyond < 400 {
		t.Errorf("%d records below the median, %d above", below, beyond)
	}
}

func TestDamagedTraces(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, file, old, new string }{
		{"a count that is no number", "_inv.csv", ",1200,", ",many,"},
		{"a negative count", "_inv.csv", ",1200,", ",-1200,"},
		{"a count beyond reason", "_inv.csv", ",1200,", ",1e12,"},
		{"a count that is infinite", "_inv.csv", ",1200,", ",Inf,"},
		{"a count that is NaN", "_inv.csv", ",1200,", ",NaN,"},
		{"a function twice", "_inv.csv", "f2,", "f1,"},
		{"a function without a name", "_inv.csv", "f2,", ","},
		{"a minute without a column", "_inv.csv", "minute_17,", "minute_x,"},
		{"a short row", "_inv.csv", "f2,a,o,", "f2,a,"},
		{"no column of functions", "_inv.csv", "HashFunction", "Hash"},
		{"a function without times", "_run.csv", "f3,", "f4,"},
		{"a negative time", "_run.csv", "60000", "-60000"},
		{"a time that is NaN", "_run.csv", "60000", "NaN"},
		{"no 99th percentile", "_run.csv", "_99", "_98"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			prefix := writeTrace(t)
			text, err := os.ReadFile(prefix + c.file)
			if err != nil {
				t.Fatal(err)
			}
			damaged := strings.Replace(string(text), c.old, c.new, 1)
			if damaged == string(text) {
				t.Fatalf("%q is not in the file", c.old)
			}
			writeFile(t, prefix+c.file, damaged)
			if _, err := dataset.LoadTrace(prefix, day, 1); err == nil || !strings.Contains(err.Error(), prefix) {
				t.Errorf("got %v, want an error that names the file", err)
			}
		})
	}
	if _, err := dataset.LoadTrace(t.TempDir()+"/none", day, 1); err == nil {
		t.Error("a trace that is not there is loaded")
	}
}

func BenchmarkLoadTrace(b *testing.B) {
	prefix := os.Getenv("ARCHIVER_TEST_TRACE")
	if prefix == "" {
		prefix = writeTrace(b)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dataset.LoadTrace(prefix, day, 1); err != nil {
			b.Fatal(err)
		}
	}
}

// writeTrace writes a trace of three functions and returns its prefix.
func writeTrace(t testing.TB) string {
	t.Helper()
	prefix := filepath.Join(t.TempDir(), "small")
	minutes := func(of map[int]string) string {
		cells := make([]string, 24*60)
		for i := range cells {
			cells[i] = "0"
		}
		for minute, count := range of {
			cells[minute] = count
		}
		return strings.Join(cells, ",")
	}
	header := make([]string, 24*60)
	for i := range header {
		header[i] = fmt.Sprint("minute_", i+1)
	}
	writeFile(t, prefix+"_inv.csv", "HashFunction,HashApp,HashOwner,"+strings.Join(header, ",")+"\n"+
		"f1,a,o,"+minutes(map[int]string{0: "3", 1: "2.0", 719: "1200", 1439: "7"})+"\n"+
		"f2,a,o,"+minutes(nil)+"\n"+
		"f3,a,o,"+minutes(map[int]string{600: "1.6"})+"\n")
	writeFile(t, prefix+"_run.csv", "HashFunction,HashApp,HashOwner,Count,Average,Minimum,Maximum,"+
		"percentile_Average_0,percentile_Average_1,percentile_Average_25,percentile_Average_50,"+
		"percentile_Average_75,percentile_Average_99,percentile_Average_100\n"+
		"f3,a,o,2,5000,5000,5000,5000,5000,5000,5000,5000,5000,5000\n"+
		"f2,a,o,0,1,1,1,1,1,1,1,1,1,1\n"+
		"f1,a,o,1212,900,100,90000,1000,2000,10000,20000,30000,60000,90000\n")
	return prefix
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
