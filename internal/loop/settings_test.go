package loop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
)

// telling makes a world's archiver ask a source that tells settings.
func (w *world) telling(s *settingsSource, log *bytes.Buffer) *Archiver {
	s.fakeSource = w.source
	a := w.archiver()
	a.Source = s
	if log != nil {
		a.Log = slog.New(slog.NewTextHandler(log, nil))
	}
	return a
}

func (w *world) pass(a *Archiver, s archive.Span) archive.Summary {
	w.t.Helper()
	summary, err := a.Archive(w.t.Context(), archive.Order{AskedBy: "test", Range: s}, new(archive.Progress))
	if err != nil {
		w.t.Error(err)
	}
	return summary
}

func setting(urn string, modified time.Time) archive.Setting {
	return archive.Setting{URN: urn, MaxEventAge: -1, MaxRetries: -1, Modified: modified, Raw: []byte(`{}`)}
}

// Settings are asked for once a day, by runs that read windows of the function.
func TestSettingsAreAskedForOnceADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha, beta)
	s := &settingsSource{pages: []archive.SettingsPage{{Settings: []archive.Setting{setting("v", hour(1))}, Count: 1}}}
	a := w.telling(s, nil)
	for n, want := range []int{2, 0, 0, 2} {
		if n > 0 && n < 3 {
			w.clock.Advance(time.Hour)
		} else if n == 3 {
			w.clock.Advance(22 * time.Hour)
		}
		w.pass(a, span(n, n+1))
		if got := s.times(); got != want {
			t.Errorf("pass %d asked %d times, not %d", n, got, want)
		}
	}
	w.clock.Advance(25 * time.Hour)
	w.pass(a, span(0, 4)) // nothing of which is due
	if _, err := a.Archive(t.Context(), archive.Order{AskedBy: "verify", Range: span(0, 4), Compare: true}, new(archive.Progress)); err != nil {
		t.Fatal(err)
	}
	if got := s.times(); got != 0 {
		t.Errorf("%d times where no window was read", got)
	}
	if got := w.db.kept(alpha.URN); len(got) != 2 || !got[0].Whole || len(got[0].Settings) != 1 {
		t.Errorf("kept: %+v", got)
	}
}

// Another process may have asked between the plan and the claim.
func TestSettingsAskedByAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	s := &settingsSource{}
	w.store.before = func(_ context.Context, op string, _ int) error {
		if op == opClaim {
			w.db.mu.Lock()
			defer w.db.mu.Unlock()
			w.db.functions[0].settingsAsked = w.clock.Now().Add(time.Second) // by its clock
		}
		return nil
	}
	w.pass(w.telling(s, nil), span(0, 1))
	if got := s.times(); got != 0 {
		t.Errorf("asked %d times", got)
	}
}

// If something goes wrong with settings, the windows are complete, and the next
// run asks again.
func TestSettingsFail(t *testing.T) {
	t.Parallel()
	const together = pagesPerCall * 2 // functions that are worked on
	var functions []archive.Function
	for i := range 3 * together {
		functions = append(functions, archive.Function{URN: fmt.Sprint("urn:", i), Name: fmt.Sprint(i)})
	}
	for _, tc := range []struct {
		name string
		err  error
		most int // questions of one run
		says string
	}{
		// All workers may ask before one of them is denied.
		{"denied", fmt.Errorf("403: %w", archive.ErrDenied), together, "settings are denied, no more are asked for in this run"},
		{"failing", errors.New("500"), maxSettingsFailures + together - 1, "settings could not be kept, no more are asked for in this run"},
		{"gone", fmt.Errorf("404: %w", archive.ErrGone), maxSettingsFailures + together - 1, "settings could not be kept, no more"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 10, functions...)
			s := &settingsSource{err: tc.err}
			for n := range 2 {
				var log bytes.Buffer
				summary := w.pass(w.telling(s, &log), span(n, n+1))
				if got := s.times(); got < 1 || got > tc.most {
					t.Errorf("run %d asked %d times, want 1 to %d", n, got, tc.most)
				}
				if said := strings.Count(log.String(), tc.says); said != 1 || len(summary.Failures) > 0 || summary.Left > 0 {
					t.Errorf("run %d said %d times, %+v:\n%s", n, said, summary.Failures, log.String())
				}
			}
			for _, f := range functions {
				w.states(f, span(0, 2), archive.StateComplete)
				if kept := w.db.kept(f.URN); kept != nil {
					t.Errorf("%s: kept %+v", f.Name, kept)
				}
			}
		})
	}
}

// A database that cannot keep settings still keeps windows; a claim that was
// lost is lost.
func TestSettingsNotKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	s := &settingsSource{pages: []archive.SettingsPage{{Settings: []archive.Setting{setting("v", hour(1))}}}}
	w.store.before = func(_ context.Context, op string, _ int) error {
		if op == opKeepSettings {
			return errors.New("no room")
		}
		return nil
	}
	w.pass(w.telling(s, nil), span(0, 1))
	w.states(alpha, span(0, 1), archive.StateComplete)

	w.clock.Advance(time.Hour)
	thief := w.db.connect("thief")
	w.store.before = func(_ context.Context, op string, _ int) error {
		if op == opKeepSettings {
			w.db.steal(alpha.URN, thief)
		}
		return nil
	}
	ran := make(chan archive.Summary, 1)
	go func() { ran <- w.pass(w.telling(s, nil), span(1, 2)) }()
	await(t, "the end of the run", ran)
	w.states(alpha, span(1, 2), archive.StateComplete)
	if kept := w.db.kept(alpha.URN); kept != nil {
		t.Errorf("kept without a claim: %+v", kept)
	}
}

// A run that ends while it asks says why it ended.
func TestSettingsInterrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	s := &settingsSource{err: errors.New("cut off")}
	ctx, cancel := context.WithCancelCause(t.Context())
	w.store.after = func(_ context.Context, op string, _ int) error {
		if op == opSettingsAsked {
			cancel(archive.ErrInterrupted)
		}
		return nil
	}
	a := w.telling(s, nil)
	if _, err := a.Archive(ctx, archive.Order{AskedBy: "test", Range: span(0, 1)}, new(archive.Progress)); !errors.Is(err, archive.ErrInterrupted) {
		t.Errorf("ended with %v", err)
	}
	w.states(alpha, span(0, 1), archive.StateComplete)
}

// Several pages of settings make one answer. It has no version twice, and is whole if
// no setting is missing.
func TestReadSettings(t *testing.T) {
	t.Parallel()
	one, two := setting("one", hour(1)), setting("two", hour(2))
	later := setting("one", hour(3))
	broken := []archive.Rejected{{Reason: "none", Payload: []byte("1")}}
	for name, tc := range map[string]struct {
		pages []archive.SettingsPage
		urns  string
		whole bool
	}{
		"none":          {nil, "", true},
		"without count": {[]archive.SettingsPage{{Settings: []archive.Setting{one}, Count: -1}}, "one01", true},
		"two pages":     {[]archive.SettingsPage{{Settings: []archive.Setting{one}, Count: 2}, {Settings: []archive.Setting{two}, Count: 2}}, "one01 two02", true},
		"fewer":         {[]archive.SettingsPage{{Settings: []archive.Setting{one}, Count: 2}}, "one01", false},
		"shrinking":     {[]archive.SettingsPage{{Settings: []archive.Setting{one}, Count: 3}, {Settings: []archive.Setting{two}, Count: 2}}, "one01 two02", false},
		"twice":         {[]archive.SettingsPage{{Settings: []archive.Setting{later, two, one}, Count: 3}}, "one03 two02", false},
		"twice, later":  {[]archive.SettingsPage{{Settings: []archive.Setting{one}, Count: -1}, {Settings: []archive.Setting{later}, Count: -1}}, "one03", true},
		"rejected":      {[]archive.SettingsPage{{Settings: []archive.Setting{one}, Rejected: broken, Count: 2}}, "one01", false},
	} {
		got, err := archive.ReadSettings(t.Context(), &settingsSource{pages: tc.pages}, alpha)
		var urns []string
		for _, s := range got.Settings {
			urns = append(urns, s.URN+s.Modified.Format("15"))
		}
		if err != nil || strings.Join(urns, " ") != tc.urns || got.Whole != tc.whole {
			t.Errorf("%s: %v whole %v, %v", name, urns, got.Whole, err)
		}
	}
}
