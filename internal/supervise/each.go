package supervise

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"archiver/internal/archive"
	"archiver/internal/settings"
)

// Work is what a command does with one source. It prints to out. errs is standard
// error: a progress bar is drawn there if it is a console.
type Work func(ctx context.Context, s *Source, out, errs io.Writer) error

// Each does the work for every source at the same time. If there are several
// sources, each printed line begins with the name of its source. An error of one
// source does not stop the others. The returned error has the errors of all.
func (set *Set) Each(ctx context.Context, out, errs io.Writer, work Work) error {
	if len(set.Sources) == 1 {
		only := set.Sources[0]
		return only.Named(work(ctx, only, out, errs))
	}
	results := make([]error, len(set.Sources))
	var working sync.WaitGroup
	var printing sync.Mutex
	for i, s := range set.Sources {
		working.Go(func() {
			own := &prefixWriter{to: out, mu: &printing, prefix: s.Name + ": "}
			defer own.endLine()
			if s.Archiver == nil {
				results[i] = s.Err
				s.Log.Error("source cannot be opened", archive.ErrorKeys(s.Err)...)
				return
			}
			// Several bars would overwrite one another, so this hides the console.
			results[i] = work(ctx, s, own, struct{ io.Writer }{errs})
		})
	}
	working.Wait()
	return set.errors(results)
}

// errors returns the errors of the sources, nil if there are none. If functions
// were asked for by name, a source without them is an error only if no source has
// them.
func (set *Set) errors(results []error) error {
	hasNone := func(err error) bool { return set.byName && errors.Is(err, archive.ErrNoFunction) }
	var failed settings.Errors
	without := 0
	for i, err := range results {
		if err != nil {
			failed = append(failed, set.Sources[i].Named(err))
		}
		if hasNone(err) {
			without++
		}
	}
	if without < len(set.Sources) {
		failed = slices.DeleteFunc(failed, hasNone)
	}
	if len(failed) == 0 {
		return nil
	}
	return failed
}

// A prefixWriter begins each line with a prefix, and writes whole lines.
type prefixWriter struct {
	to     io.Writer
	mu     *sync.Mutex // shared by all that write to the same writer
	prefix string
	begun  []byte // a line without its end
}

func (p *prefixWriter) Write(b []byte) (int, error) {
	p.begun = append(p.begun, b...)
	end := bytes.LastIndexByte(p.begun, '\n') + 1
	var lines strings.Builder
	for line := range bytes.Lines(p.begun[:end]) {
		lines.WriteString(p.prefix)
		lines.Write(line)
	}
	p.begun = append(p.begun[:0], p.begun[end:]...)
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := io.WriteString(p.to, lines.String()); err != nil {
		return 0, err
	}
	return len(b), nil
}

// endLine ends the last line.
func (p *prefixWriter) endLine() {
	if len(p.begun) > 0 {
		fmt.Fprintln(p)
	}
}
