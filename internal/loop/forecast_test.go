package loop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"archiver/internal/archive"
	"archiver/internal/terminal"
)

// A bubbleClock goes on with the time of a bubble of testing/synctest.
type bubbleClock struct {
	archive.SystemClock
	ahead time.Duration
}

func (c bubbleClock) Now() time.Time { return c.SystemClock.Now().Add(c.ahead) }

// A said is how much time a line of the log says is left, and when.
type said struct {
	at      time.Time
	left    time.Duration
	atLeast bool
}

// A reader notes the lines of the log that tell the progress.
type reader struct {
	mu   sync.Mutex
	said []said
}

func (r *reader) Enabled(context.Context, slog.Level) bool { return true }
func (r *reader) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *reader) WithGroup(string) slog.Handler            { return r }

func (r *reader) Handle(_ context.Context, record slog.Record) error {
	line := said{at: time.Now(), left: -1}
	record.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "seconds_left":
			line.left = time.Duration(a.Value.Int64()) * time.Second
		case "at_least":
			line.atLeast = a.Value.Bool()
		}
		return true
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	if line.left >= 0 {
		r.said = append(r.said, line)
	}
	return nil
}

// paced makes the source answer twenty calls a second. refused says of a call whether it is
// refused first, and has to be made again.
func paced(s *fakeSource, refused func(call int) bool) {
	clock := archive.SystemClock{}
	var mu sync.Mutex
	var next time.Time
	call := 0
	turn := func() (wait time.Duration, again bool) {
		mu.Lock()
		defer mu.Unlock()
		now := clock.Now()
		if next.Before(now) {
			next = now
		}
		wait, next = next.Sub(now), next.Add(time.Second/20)
		call++
		return wait, refused != nil && refused(call)
	}
	s.before = func(ctx context.Context, _ ask) error {
		for again := true; again; {
			var wait time.Duration
			wait, again = turn()
			if err := clock.Sleep(ctx, wait); err != nil {
				return err
			}
		}
		return nil
	}
}

// The time that is said to be left is within a quarter of what it turns out to be, from when
// the first page of each function has come on. Before, and if the source does not count, it is
// said to be at least so long, and is. It is never said to be nothing.
func TestTimeLeft(t *testing.T) {
	t.Parallel()
	const page = 3
	pages := func(of ...int) []int { return of }
	repeated := func(n, of int) (list []int) {
		for range n {
			list = append(list, of)
		}
		return list
	}
	for name, test := range map[string]struct {
		pages   []int // of each function
		span    archive.Span
		refused func(call int) bool
		sources int
		source  func(s *fakeSource)
		fewest  int // lines that are sure
	}{
		"one is large":    {pages: append(repeated(30, 1), 100), fewest: 1},
		"one is larger":   {pages: append(repeated(30, 1), 500), fewest: 4},
		"all are alike":   {pages: repeated(31, 25), fewest: 6},
		"two, by tokens":  {pages: append(repeated(40, 1), 150, 100), source: func(s *fakeSource) { s.token = true }, fewest: 2},
		"hours are empty": {pages: append(repeated(300, 0), pages(200, 0, 30)...), fewest: 2},
		"many days":       {pages: append(repeated(20, 1), 300), span: archive.Span{From: hour(-24 * 80), To: hour(24)}, fewest: 2},
		"refused calls": {
			pages: append(repeated(30, 1), 400), fewest: 3,
			refused: func(call int) bool { return call%4 == 0 },
		},
		"several sources": {pages: append(repeated(30, 1), 200), sources: 3, fewest: 2},
		"without counts":  {pages: append(repeated(10, 3), 60), source: func(s *fakeSource) { s.count = countAbsent }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var running sync.WaitGroup
				for range max(test.sources, 1) {
					running.Go(func() {
						lines, end, err := shown(t, page, test.pages, test.span, test.refused, test.source)
						if err != nil {
							t.Error(err)
						}
						sure := 0
						for _, line := range lines {
							left := end.Sub(line.at)
							switch off := math.Abs(float64(line.left-left)) / float64(left); {
							case line.left <= 0:
								t.Errorf("%v is said to be left", line.left)
							case line.atLeast && line.left > left+time.Second:
								t.Errorf("at least %v is said to be left where it is %v", line.left, left)
							case !line.atLeast && left > 4*time.Second && off > 0.25:
								t.Errorf("%v is said to be left where it is %v", line.left, left)
							}
							if !line.atLeast {
								sure++
							}
						}
						if sure < test.fewest || test.fewest == 0 && sure > 0 {
							t.Errorf("%d of %d lines are sure, want %d", sure, len(lines), test.fewest)
						}
					})
				}
				running.Wait()
			})
		})
	}
}

// shown archives functions of so many pages each, and returns what was said to be left until
// the end.
func shown(t *testing.T, page int, pages []int, s archive.Span, refused func(int) bool, change func(*fakeSource)) (lines []said, end time.Time, err error) {
	var functions []archive.Function
	for i := range pages {
		functions = append(functions, archive.Function{URN: fmt.Sprintf("urn:f%03d", i), Name: fmt.Sprintf("f%03d", i)})
	}
	if s.Windows() == 0 {
		s = span(0, 24)
	}
	w := newWorld(t, page, functions...)
	w.source.fullPage, w.source.ahead, w.source.together = page, true, true
	for i, f := range functions {
		// Newest first, as sources list them.
		for h := range 24 {
			at := s.To.Add(-time.Duration(h+1) * time.Duration(s.Windows()/24) * archive.Hour)
			all := max(pages[i]*page-1, 0) // a full last page would have to be proven
			n := all / 24
			if h == 0 {
				n += all % 24
			}
			w.source.records[f.URN] = append(w.source.records[f.URN], many(fmt.Sprintf("%s-%d", f.Name, h), at, n)...)
		}
	}
	paced(w.source, refused)
	if change != nil {
		change(w.source)
	}
	a := w.archiver()
	a.Clock = bubbleClock{ahead: time.Until(midnight.Add(30 * archive.Hour))}
	a.Concurrency = 8
	progress, r := new(archive.Progress), new(reader)
	stop := terminal.Show(progress, w.source, io.Discard, slog.New(r), false)
	summary, err := a.Archive(t.Context(), archive.Order{AskedBy: "test", Range: s}, progress)
	end = time.Now()
	stop()
	if f := progress.Forecast(); err == nil && (f.Coming != 0 || f.Unknown != 0) {
		err = fmt.Errorf("at the end, %d calls are left, and %d functions are not known", f.Coming, f.Unknown)
	}
	if int(summary.Complete) != s.Windows()*len(functions) {
		err = errors.Join(err, fmt.Errorf("%d windows are complete", summary.Complete))
	}
	return r.said, end, err
}
