package load

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/load/loadtest"
)

// history is the view of all versions: which setting held when.
func (a *archiveDB) history() []string {
	a.T.Helper()
	return a.Rows(`
		SELECT function_urn, max_async_retry_attempts AS retries,
		       to_char(valid_from AT TIME ZONE 'UTC', 'DD HH24:MI') AS valid_from,
		       to_char(valid_to AT TIME ZONE 'UTC', 'DD HH24:MI') AS valid_to
		  FROM notification_settings_history
		 ORDER BY function_urn, notification_settings_history.valid_from`)
}

// A change closes one row and opens the next. The same answer writes nothing. A setting
// that the source no longer gives is closed.
func TestSettingsHistory(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	if asked, err := c.SettingsAsked(t.Context()); err != nil || !asked.IsZero() {
		t.Errorf("asked at %s, %v", asked, err)
	}
	at := func(h int) time.Time { return today.Add(time.Duration(h) * time.Hour) }
	keep(t, c, answer(told("urn:f", 1, at(-20)), told("urn:f:v1", 7, time.Time{})), at(0))
	same := answer(told("urn:f", 1, at(-20)), told("urn:f:v1", 7, time.Time{}))
	same.Settings[0].Raw = []byte(`{"max_async_retry_attempts":1,"func_urn":"urn:f"}`) // in another order
	keep(t, c, same, at(1))
	if n := value[int](a, `SELECT count(DISTINCT xmin::text) FROM notification_setting_versions`); n != 1 {
		t.Error("the same answer was written")
	}
	if asked, err := c.SettingsAsked(t.Context()); err != nil || !asked.Equal(at(1)) {
		t.Errorf("asked at %s, %v", asked, err)
	}
	keep(t, c, answer(told("urn:f", 2, at(6)), told("urn:f:v1", 7, time.Time{})), at(8))
	keep(t, c, answer(told("urn:f", 3, at(99)), told("urn:f:v1", 8, at(-99))), at(9)) // of the future, and of before the first
	part := answer(told("urn:f", 3, at(99)))
	part.Whole = false
	keep(t, c, part, at(10))
	keep(t, c, answer(told("urn:f", 3, at(99))), at(11))
	keep(t, c, answer(told("urn:f", 3, at(99)), told("urn:f:v1", 8, at(10))), at(13)) // back, not changed since
	keep(t, c, answer(), at(14))
	keep(t, c, answer(told("urn:f:v1", 8, at(15))), at(16)) // back, and changed
	want := []string{
		`(urn:f,1,"13 04:00","14 06:00")`, `(urn:f,2,"14 06:00","14 09:00")`, `(urn:f,3,"14 09:00","14 14:00")`,
		`(urn:f:v1,7,"14 00:00","14 09:00")`, `(urn:f:v1,8,"14 09:00","14 11:00")`,
		`(urn:f:v1,8,"14 13:00","14 14:00")`, `(urn:f:v1,8,"14 15:00",)`,
	}
	if diff := cmp.Diff(want, a.history()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{`(urn:f:v1,8,"2026-03-14 15:00:00+00")`}, a.Rows(`
		SELECT function_urn, max_async_retry_attempts, valid_from FROM notification_settings`)); diff != "" {
		t.Errorf("current (-want +got):\n%s", diff)
	}
	if err := c.Gone(t.Context(), nil, at(20)); err != nil {
		t.Fatal(err)
	}
	if n := value[int](a, `SELECT count(*) FROM notification_settings`); n != 0 {
		t.Error("a function that is gone has settings")
	}
	if asked, err := c.SettingsAsked(t.Context()); err != nil || !asked.IsZero() {
		t.Errorf("asked at %s, %v", asked, err)
	}
}

// Each column has its field. A field that the source leaves out is NULL.
func TestSettingsColumns(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	off := false
	full := archive.Setting{
		URN: "urn:f", MaxEventAge: 60, MaxRetries: 0, OnSuccess: "OBS", OnFailure: "SMN", StatusLog: &off,
		Created: today.Add(-time.Hour), Modified: today.Add(-time.Minute), Raw: []byte(`{"x": [1.50, null]}`),
	}
	bare := archive.Setting{URN: "urn:f:v1", MaxEventAge: -1, MaxRetries: -1, Raw: []byte(`"too deep"`)}
	s := answer(full, bare)
	s.Rejected = []archive.Rejected{{Reason: "func_urn is absent", Payload: []byte("{\"a\":\"\x00\xff\"}")}}
	keep(t, c, s, today)
	keep(t, c, s, today.Add(time.Hour))
	want := []string{
		`(functiongraph,cn-north-4,p,urn:f,f,"2026-03-13 23:59:00+00",60,0,OBS,SMN,f,"2026-03-13 23:00:00+00","2026-03-13 23:59:00+00","2026-03-14 00:00:00+00","{""x"": [1.50, null]}")`,
		`(functiongraph,cn-north-4,p,urn:f:v1,f,"2026-03-14 00:00:00+00",,,,,,,,"2026-03-14 00:00:00+00","""too deep""")`,
	}
	if diff := cmp.Diff(want, a.Rows(`SELECT * FROM notification_settings ORDER BY function_urn`)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{`(,"func_urn is absent","{""a"":""` + "\uFFFD\uFFFD" + `""}")`},
		a.Rows(`SELECT window_start, reason, payload FROM rejected_records`)); diff != "" {
		t.Errorf("rejected (-want +got):\n%s", diff)
	}
	if n := value[int](a, `SELECT count(*) FROM windows`); n != 0 {
		t.Error("a rejected setting made a window")
	}
}

// A query finds the settings that held when an invocation ran.
func TestSettingsOfAnInvocation(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	minute := func(n int) time.Time { return today.Add(time.Duration(n) * time.Minute) }
	keep(t, c, answer(told("urn:f", 1, minute(10)), told("urn:f:v1", 7, minute(0))), minute(11))
	keep(t, c, answer(told("urn:f", 2, minute(20)), told("urn:f:v1", 7, minute(0))), minute(25))
	keep(t, c, answer(told("urn:f:v1", 7, minute(0))), minute(40))
	commit(t, c, lastPage(hours(today, 1), noted,
		record("before", "SUCCESS", minute(5)), record("first", "SUCCESS", minute(10)), record("last", "FAIL", minute(19).Add(59*time.Second)),
		record("second", "SUCCESS", minute(20)), record("none", "SUCCESS", minute(40))))
	other := a.newClaim("g")
	commit(t, other, lastPage(hours(today, 1), noted, record("other", "SUCCESS", minute(15))))
	want := []string{`(before,)`, `(first,1)`, `(last,1)`, `(none,)`, `(other,)`, `(second,2)`}
	got := a.Rows(`
		SELECT i.request_id, s.max_async_retry_attempts
		  FROM invocation_history i
		  LEFT JOIN notification_settings_history s
		    ON s.provider = i.provider AND s.function_urn = i.function_urn
		   AND s.valid_from <= i.start_time AND (s.valid_to IS NULL OR s.valid_to > i.start_time)
		 ORDER BY i.request_id`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Random answers leave the rows of a model: at each time the setting that the source
// gave last. It holds from the time of change that the source gives, if possible.
func TestSettingsModel(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 7))
		name := fmt.Sprint("f", seed)
		c := a.newClaim(name)
		type held struct {
			retries  int
			from, to time.Time
		}
		model := map[string][]held{}
		now := today
		for range 60 {
			now = now.Add(time.Duration(r.IntN(3)) * time.Minute) // the clock may stand still
			s := archive.FunctionSettings{Whole: r.IntN(4) > 0}
			came := map[string]bool{}
			for v := range 3 {
				if r.IntN(4) == 0 {
					continue
				}
				urn := fmt.Sprintf("urn:%s:v%d", name, v)
				came[urn] = true
				var modified time.Time
				if r.IntN(4) > 0 {
					modified = now.Add(time.Duration(r.IntN(600)-500) * time.Second)
				}
				setting := told(urn, r.IntN(3), modified)
				s.Settings = append(s.Settings, setting)

				list := model[urn]
				least := time.Time{}
				if n := len(list); n > 0 {
					last := &list[n-1]
					if last.to.IsZero() && last.retries == setting.MaxRetries {
						continue
					}
					if least = last.to; least.IsZero() {
						least = last.from.Add(time.Microsecond)
					}
				}
				from := now
				if from.Before(least) {
					from = least
				}
				if !modified.IsZero() && !modified.After(now) && !modified.Before(least) {
					from = modified
				}
				if n := len(list); n > 0 && list[n-1].to.IsZero() {
					list[n-1].to = from
				}
				model[urn] = append(list, held{setting.MaxRetries, from, time.Time{}})
			}
			for urn, list := range model {
				if last := &list[len(list)-1]; s.Whole && !came[urn] && last.to.IsZero() {
					if last.to = now; !now.After(last.from) {
						last.to = last.from.Add(time.Microsecond)
					}
				}
			}
			keep(t, c, s, now)
		}
		for v := range 3 {
			urn := fmt.Sprintf("urn:%s:v%d", name, v)
			want := []string{}
			for _, h := range model[urn] {
				to := ""
				if !h.to.IsZero() {
					to = h.to.Format("15:04:05.000000")
				}
				want = append(want, fmt.Sprintf("(%d,%s,%s)", h.retries, h.from.Format("15:04:05.000000"), to))
			}
			got := a.Rows(`
				SELECT max_async_retry_attempts, to_char(valid_from AT TIME ZONE 'UTC', 'HH24:MI:SS.US'),
				       to_char(valid_to AT TIME ZONE 'UTC', 'HH24:MI:SS.US')
				  FROM notification_settings_history
				 WHERE function_urn = $1
				 ORDER BY valid_from`, urn)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("seed %d, %s (-model +got):\n%s", seed, urn, diff)
			}
		}
	}
	checkSettings(a)
}

// checkSettings fails if two settings of one version hold at once.
func checkSettings(a *archiveDB) {
	a.T.Helper()
	if twice := a.Rows(`
		SELECT a.function_urn, a.valid_from, b.valid_from
		  FROM notification_setting_versions a
		  JOIN notification_setting_versions b
		    ON a.function_urn = b.function_urn AND a.setting_id < b.setting_id
		   AND tstzrange(a.valid_from, a.valid_to) && tstzrange(b.valid_from, b.valid_to)`); len(twice) > 0 {
		a.T.Errorf("two settings hold at once: %s", strings.Join(twice, " "))
	}
}

// Two processes get settings of the same versions at once, for functions that are
// versions of each other. Each setting that holds has one row, and listing functions
// does not deadlock with them.
func TestSettingsOfTwoProcesses(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	const rounds = 30
	claims := []*claim{a.newClaim("f"), claimOf(t, openStore(t, a.URL), a.Function("g"))}
	var all sync.WaitGroup
	for n, c := range claims {
		all.Go(func() {
			for i := range rounds {
				at := noted.Add(time.Duration(i) * time.Minute)
				s := answer(told("urn:f", i%4, at), told("urn:g", i%3, at), told(fmt.Sprint("urn:f:v", i%5), n, at))
				if err := c.KeepSettings(t.Context(), s, at); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Go(func() {
		for i := range rounds {
			_, err := a.store.SeeFunctions(t.Context(), loadtest.Source, []archive.Function{{URN: "urn:f", Name: "f"}, {URN: "urn:g", Name: "g"}}, noted.Add(time.Duration(i)*time.Minute))
			if err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	checkSettings(a)
	if n := value[int](a, `SELECT count(*) FROM notification_settings WHERE function_urn IN ('urn:f', 'urn:g')`); n != 2 {
		t.Errorf("%d settings of two functions hold", n)
	}
}

// A lost claim writes no settings.
func TestSettingsWithoutAClaim(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	f := a.Function("f")
	lost := a.claim(f)
	a.Exec(`UPDATE claims SET expires_at = '-infinity'`)
	a.claim(f)
	if err := lost.KeepSettings(t.Context(), answer(told("urn:f", 1, today)), today); err == nil {
		t.Error("they were kept")
	}
	if got := a.history(); len(got) != 0 {
		t.Errorf("history: %v", got)
	}
}

// Due says for which functions settings are to be asked for.
func TestDueSettings(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	f := a.Function("f")
	c := a.claim(f)
	for _, test := range []struct {
		asked time.Duration // before now
		due   bool
	}{{0, false}, {23 * time.Hour, false}, {24 * time.Hour, true}, {30 * time.Hour, true}, {-23 * time.Hour, false}, {-24 * time.Hour, true}} {
		keep(t, c, answer(), noted.Add(-test.asked))
		for o, want := range map[archive.Span]bool{hours(today, 1): test.due, hours(today.AddDate(0, 0, -1), 1): false} {
			if !o.From.Equal(today) {
				commit(t, c, lastPage(o, noted, record("r", archive.StatusRunning, o.From)))
			}
			due, err := a.store.Due(t.Context(), []archive.Known{f}, archive.Order{Range: o, Follow: true}, noted.Add(time.Hour))
			if test.asked != 0 && o.From.Equal(today) {
				due, err = a.store.Due(t.Context(), []archive.Known{f}, archive.Order{Range: o, Follow: true}, noted)
			}
			if err != nil || len(due) != 1 || due[0].Settings != want {
				t.Errorf("asked %s ago, %s: %+v, %v", test.asked, o, due, err)
			}
		}
	}
}
