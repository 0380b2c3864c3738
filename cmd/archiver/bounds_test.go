package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A bulky source has one hour of records for each function, of any size.
type bulky struct {
	http.Handler // the simulator: everything but the invocations

	records int
	noID    bool
	packed  bool
	message func(w io.Writer, record int) // what is in the quotes
	shape   func(w io.Writer)             // if set, the whole answer
}

func (b *bulky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/async-invocations") {
		b.Handler.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if b.packed {
		w.Header().Set("Content-Encoding", "gzip")
		b.answer(packer{w}, r)
		return
	}
	b.answer(w, r)
}

func (b *bulky) answer(w io.Writer, r *http.Request) {
	if b.shape != nil {
		b.shape(w)
		return
	}
	const form = "2006-01-02T15:04:05Z"
	from, _ := time.Parse(form, r.FormValue("query_begin_time"))
	to, _ := time.Parse(form, r.FormValue("query_end_time"))
	limit, _ := strconv.Atoi(r.FormValue("limit"))
	marker, _ := strconv.Atoi(r.FormValue("marker"))
	var inRange []int
	start := func(i int) time.Time { return day.Add(10*time.Hour + time.Duration(i+1)*time.Minute) }
	for i := range b.records {
		if at := start(i); !at.Before(from) && !at.After(to) {
			inRange = append(inRange, i)
		}
	}
	function := strings.Split(r.URL.Path, "/")[5]
	_, _ = io.WriteString(w, `{"invocations":[`)
	end := min(marker+limit, len(inRange))
	for n, i := range inRange[min(marker, end):end] {
		if n > 0 {
			_, _ = io.WriteString(w, ",")
		}
		at := start(i).Format("2006-01-02T15:04:05")
		name := "request_id"
		if b.noID {
			name = "another_id"
		}
		fmt.Fprintf(w, `{%q:"%x-%d","status":"FAIL","start_time":%q,"end_time":%q,"error_message":"`, name, function[len(function)-20:], i, at, at)
		b.message(w, i)
		_, _ = io.WriteString(w, `"}`)
	}
	fmt.Fprintf(w, `],"count":%d,"next_marker":%d}`, len(inRange), end)
}

// A packer writes each part as a gzip member of its own. RFC 1952 lets members follow each
// other, so the block of all texts is packed once.
type packer struct{ io.Writer }

func (p packer) Write(part []byte) (int, error) {
	member := packedBlock()
	if len(part) != len(block) {
		member = packed(part)
	}
	_, err := p.Writer.Write(member)
	return len(part), err
}

func packed(part []byte) []byte {
	var member bytes.Buffer
	w := gzip.NewWriter(&member)
	_, _ = w.Write(part) // a bytes.Buffer takes everything
	_ = w.Close()
	return member.Bytes()
}

var (
	block       = bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
	packedBlock = sync.OnceValue(func() []byte { return packed(block) })
)

// text writes a text of so many bytes.
func text(n int) func(io.Writer, int) {
	return func(w io.Writer, _ int) {
		for left := n; left > 0; left -= len(block) {
			_, _ = w.Write(block[:min(left, len(block))])
		}
	}
}

// mostMemory runs a command and returns the most memory that it had, in MiB. That of
// wait4(2) includes what this process had when it started the command.
func mostMemory(t *testing.T, cmd *exec.Cmd) (peak int64) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			return peak
		case <-tick.C:
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
			found := hwm.FindSubmatch(status)
			if err != nil || found == nil {
				continue // it has just ended
			}
			kib, err := strconv.ParseInt(string(found[1]), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			peak = kib >> 10
		}
	}
}

var hwm = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// An answer of any shape adds at most 128 MiB to the process, and eight at once 256 MiB.
func TestAnswersOfAnySize(t *testing.T) {
	t.Parallel()
	const mega = 1 << 20
	var small int64 // what small records take
	for _, test := range []struct {
		name      string
		functions int
		source    bulky
		code      int
		rows      int64
		rejected  int64
		again     int   // how often it is read again
		most      int64 // MiB more than for small records
	}{
		{name: "small records", functions: 8, source: bulky{records: 40, message: text(100)}, rows: 320},
		{name: "tiny elements", functions: 1, code: exitIncomplete, most: 128, source: bulky{shape: func(w io.Writer) {
			_, _ = io.WriteString(w, `{"invocations":[0`)
			tiny := bytes.Repeat([]byte(",0"), 1000)
			for range 3000 {
				_, _ = w.Write(tiny)
			}
			_, _ = io.WriteString(w, `],"count":3000001}`)
		}}},
		{name: "one long message", functions: 1, most: 128, rows: 2, rejected: 1, source: bulky{records: 3, message: func(w io.Writer, i int) {
			text([]int{1 * mega, 256 * mega, 15 * mega}[i])(w, i)
		}}},
		{name: "a large page", functions: 1, most: 128, again: 1, rows: 40, source: bulky{records: 40, message: text(3 * mega / 2)}},
		{name: "a page that is too large", functions: 1, most: 128, rows: 50, source: bulky{records: 50, packed: true, message: text(3 * mega / 2)}},
		{name: "large records that no row can hold", functions: 1, most: 128, rejected: 3, source: bulky{records: 3, noID: true, message: text(15 * mega)}},
		{name: "eight large pages", functions: 8, most: 256, rows: 8 * 12, source: bulky{records: 12, message: text(5 * mega)}},
	} {
		data := generated(t, test.functions, 10*test.functions, 1)
		api, _ := simulator(t, data)
		test.source.Handler = api
		in := install(t, newServer(t, &test.source))
		args := []string{"backfill", "--from", day.Add(9 * time.Hour).Format(time.RFC3339), "--to", day.Add(12 * time.Hour).Format(time.RFC3339), "--versions", "latest", "--request-timeout", "5m"}
		for _, more := range [][]string{nil, {"--force"}}[:1+test.again] {
			var out bytes.Buffer
			cmd := in.command(nil, append(args, more...)...)
			cmd.Stdout, cmd.Stderr = &out, &out
			peak := mostMemory(t, cmd)
			if small == 0 {
				small = peak
			}
			t.Logf("%s%s: %d MiB", test.name, more, peak)
			if peak-small > test.most {
				t.Errorf("%s%s: %d MiB, small records take %d MiB", test.name, more, peak, small)
			}
			if cmd.ProcessState.ExitCode() != cmp.Or(test.code, exitDone) {
				t.Errorf("%s%s: exit %d\n%s", test.name, more, cmd.ProcessState.ExitCode(), out.String()[:min(out.Len(), 3000)])
			}
			rows, rejected := queryValue[int64](in, `SELECT count(*) FROM invocations`), queryValue[int64](in, `SELECT count(*) FROM rejected_records`)
			if test.code == exitDone && (rows != test.rows || rejected != test.rejected) {
				t.Errorf("%s%s: %d rows, %d rejected", test.name, more, rows, rejected)
			}
		}
	}
}

// What the deployments allow is what a process has by design, and what the system counts
// outside of Go.
func TestMemoryOfDeployments(t *testing.T) {
	t.Parallel()
	const outside = 64 << 20
	limit, soft := fmt.Sprint((memoryLimit+outside)>>20), fmt.Sprint(memoryLimit>>20)
	var files []string
	for _, pattern := range []string{"kubernetes/*/*.yaml", "systemd/*.service", "../docker-compose.yml"} {
		found, err := filepath.Glob(filepath.Join("..", "..", "deploy", pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	limits := regexp.MustCompile(`(?s)limits:\s+memory: (\d+)Mi\n|MemoryMax=(\d+)M\n|mem_limit: (\d+)m\n`)
	softLimits := regexp.MustCompile(`GOMEMLIMIT\D*(\d+)MiB`)
	n := 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range limits.FindAllStringSubmatch(string(content), -1) {
			n++
			if got := cmp.Or(found[1], found[2], found[3]); got != limit {
				t.Errorf("%s allows %s MiB, want %s", file, got, limit)
			}
		}
		for _, found := range softLimits.FindAllStringSubmatch(string(content), -1) {
			if found[1] != soft {
				t.Errorf("%s has a soft limit of %s MiB, want %s", file, found[1], soft)
			}
		}
	}
	if n != 9 {
		t.Errorf("%d limits were found", n)
	}
}
