package load

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"archiver/internal/archive"
)

// A model is the archive in memory, in the simplest form. Its texts are those of
// modelTables.
type model struct {
	rows     map[string]modelRow
	windows  map[windowKey]modelWindow
	walks    map[windowKey]archive.Walk
	rejected map[string]windowKey // by function and payload
}

type modelRow struct {
	function int32
	archive.Invocation
	queried        time.Time
	first, updated time.Time
}

// window is the window that counts the row.
func (r *modelRow) window() time.Time {
	if r.Start.IsZero() {
		return r.queried
	}
	return archive.WindowOf(r.Start)
}

// leaf is the partition of the row.
func (r *modelRow) leaf() string {
	switch {
	case r.InFlight():
		return "invocations_in_flight"
	case r.Start.IsZero():
		return "invocations_undated"
	default:
		return "invocations_" + r.Start.UTC().Format("20060102")
	}
}

// A modelWindow is the state of a window. Its numbers are counted from the rows.
type modelWindow struct {
	state     archive.State
	planned   bool
	source    string // source_count
	attempts  int
	err       string
	completed time.Time
	expired   archive.Expired
	refused   archive.Span
	stuck     int
	retry     time.Time
}

func newModel() *model {
	return &model{
		rows: map[string]modelRow{}, windows: map[windowKey]modelWindow{},
		walks: map[windowKey]archive.Walk{}, rejected: map[string]windowKey{},
	}
}

// touch creates a window.
func (m *model) touch(key windowKey) {
	if _, ok := m.windows[key]; !ok {
		m.windows[key] = modelWindow{state: archive.StatePending}
	}
}

func (m *model) commit(function int32, b *archive.Batch) (kept archive.Kept) {
	for _, inv := range b.Invocations {
		old, known := m.rows[inv.RequestID]
		fresh := modelRow{function: function, Invocation: inv, first: b.At, updated: b.At, queried: b.Walk.Span.WindowOf(inv.Start)}
		if known {
			fresh.function, fresh.first, fresh.queried = old.function, old.first, old.window()
		}
		if !inv.Start.IsZero() {
			fresh.queried = time.Time{}
		}
		switch {
		case !known:
			kept.Inserted++
		case inv.InFlight() && !old.InFlight(), sameRecord(&old.Invocation, &inv):
			kept.Unchanged++
			fresh = old
		default:
			kept.Updated++
		}
		if fresh.InFlight() {
			kept.InFlight++
		}
		m.rows[inv.RequestID] = fresh
		m.touch(windowKey{fresh.function, fresh.window()})
	}
	for _, r := range b.Rejected {
		key := fmt.Sprint(function, string(r.Payload))
		if _, known := m.rejected[key]; !known {
			kept.Rejected++
			m.rejected[key] = windowKey{function, b.Walk.Span.WindowOf(r.Start)}
			m.touch(m.rejected[key])
		}
	}
	walk := windowKey{function, b.Walk.Span.From}
	begun := m.walks[walk].Span == b.Walk.Span
	switch {
	case b.Outcome != nil:
		m.decide(function, b.Walk.Span, *b.Outcome, b.At)
	case !begun:
		m.decide(function, b.Walk.Span, archive.Outcome{State: archive.StatePartial}, b.At)
	}
	maps.DeleteFunc(m.walks, func(key windowKey, w archive.Walk) bool {
		return key.functionID == function && w.Span.Overlaps(b.Walk.Span)
	})
	if b.Outcome == nil && len(b.Pieces) == 0 {
		m.walks[walk] = b.Walk
	}
	for _, s := range b.Pieces {
		m.walks[windowKey{function, s.From}] = archive.Walk{Span: s}
	}
	return kept
}

func sameRecord(a, b *archive.Invocation) bool {
	return a.Status == b.Status && a.Start.Equal(b.Start) && a.ErrorCode == b.ErrorCode
}

// failed is the reason that Fail gets. Commits give other reasons.
const failed = "down"

func (m *model) decide(function int32, s archive.Span, o archive.Outcome, at time.Time) {
	for h := s.From; h.Before(s.To); h = h.Add(archive.Hour) {
		key := windowKey{function, h}
		w, known := m.windows[key]
		state, err := o.State, o.Err
		e, isExpired := o.Expired[h]
		if isExpired {
			state, err = archive.StateExpired, cmp.Or(err, why(e))
		}
		decided := w.state == archive.StateComplete || w.state == archive.StateExpired
		switch {
		case o.State == archive.StateFailed && o.Err == failed && decided:
			continue // what was complete or expired before stays so
		case o.State == archive.StatePartial && !isExpired && decided:
			continue
		case e.Bare && !e.Missed && !known:
			continue
		}
		if state != archive.StatePartial {
			w.attempts++
		}
		expires := state == archive.StateExpired && w.state == archive.StateComplete
		if !expires && !m.less(key, w, state, o) {
			w.end(key, m, state, o, at)
			w.err, w.expired = err, archive.Expired{Missed: e.Missed, Unproven: e.Unproven}
		}
		w.planned = true
		m.windows[key] = w
	}
}

// less reports whether an expired window would be completed by less than is known of it.
func (m *model) less(key windowKey, w modelWindow, state archive.State, o archive.Outcome) bool {
	known, _ := strconv.Atoi(w.source)
	records, _, rejected := m.count(key)
	count := records + rejected
	if o.Counts != nil {
		count = o.Counts[key.start]
	}
	return w.state == archive.StateExpired && state == archive.StateComplete && count < max(known, records+rejected)
}

// end changes what depends on the state before.
func (w *modelWindow) end(key windowKey, m *model, state archive.State, o archive.Outcome, at time.Time) {
	isExpired := state == archive.StateExpired
	if state != w.state || w.completed.IsZero() || state != archive.StateComplete && !isExpired {
		w.completed = time.Time{}
		if state == archive.StateComplete || isExpired && o.State != archive.StateFailed {
			w.completed = at
		}
	}
	before, _ := strconv.Atoi(w.source)
	hadCount := w.source != ""
	records, _, rejected := m.count(key)
	switch count := o.Counts[key.start]; {
	case state == archive.StateComplete && o.Counts == nil:
		w.source = fmt.Sprint(records + rejected)
	case o.Counts == nil:
	case state != archive.StateComplete && hadCount:
		w.source = fmt.Sprint(max(before, count))
	default:
		w.source = fmt.Sprint(count)
	}
	switch window := hours(key.start, 1); {
	case state == archive.StateComplete || state == archive.StateGone:
		w.refused = archive.Span{}
	case o.Refusal.Smallest.Overlaps(window):
		w.refused = o.Refusal.Smallest
	}
	w.retry = time.Time{}
	switch stays := state == archive.StateFailed || state == archive.StateShort; {
	case stays && o.Refusal.Stuck:
		w.retry = archive.WindowOf(at).Add(time.Duration(min(1<<w.stuck, 24)) * time.Hour)
		w.stuck++
	case !stays && state != archive.StatePartial:
		w.stuck = 0
	}
	w.state = state
}

// prove makes unproven windows complete. All functions are of one source.
func (m *model) prove(age time.Duration) (n int) {
	unproven := func(key windowKey, w modelWindow) (began time.Duration, ok bool) {
		return w.completed.Sub(key.start), w.state == archive.StateExpired && w.expired.Unproven && !w.completed.IsZero()
	}
	older := false // a window that stays unproven
	for key, w := range m.windows {
		began, ok := unproven(key, w)
		older = older || ok && began > age+archive.Hour
	}
	for key, w := range m.windows {
		if began, ok := unproven(key, w); ok && (began <= age || began <= age+archive.Hour && !older) {
			w.state, w.expired, w.err = archive.StateComplete, archive.Expired{}, ""
			if records, _, rejected := m.count(key); w.source == "" {
				w.source = fmt.Sprint(records + rejected)
			}
			m.windows[key] = w
			n++
		}
	}
	return n
}

func (m *model) count(key windowKey) (records, pending, rejected int) {
	for _, r := range m.rows {
		if (windowKey{r.function, r.window()}) == key {
			records++
			if r.InFlight() {
				pending++
			}
		}
	}
	for _, at := range m.rejected {
		if at == key {
			rejected++
		}
	}
	return records, pending, rejected
}

// modelTables selects the archive as the texts of model.tables.
const modelTables = `
	SELECT concat_ws(' ', 'row', request_id, tableoid::regclass, function_id, status, error_code,
	                 extract(epoch FROM start_time)::bigint, extract(epoch FROM queried_window)::bigint,
	                 extract(epoch FROM first_archived_at)::bigint, extract(epoch FROM updated_at)::bigint)
	  FROM invocations
	UNION ALL
	SELECT concat_ws(' ', 'window', function_id, extract(epoch FROM window_start)::bigint, state, planned, records,
	                 pending, rejected, source_count, attempts, last_error, extract(epoch FROM completed_at)::bigint, missed, unproven,
	                 extract(epoch FROM refused_from)::bigint, stuck, extract(epoch FROM retry_at)::bigint)
	  FROM windows
	UNION ALL
	SELECT concat_ws(' ', 'walk', function_id, extract(epoch FROM span_from)::bigint, extract(epoch FROM span_to)::bigint,
	                 NULLIF(source_cursor, ''), seen)
	  FROM walks
	UNION ALL
	SELECT concat_ws(' ', 'rejected', function_id, payload, extract(epoch FROM window_start)::bigint)
	  FROM rejected_records`

func (m *model) tables() []string {
	texts := []string{}
	for id, r := range m.rows {
		texts = append(texts, words("row", id, r.leaf(), r.function, r.Status, r.ErrorCode,
			r.Start, r.queried, r.first, r.updated))
	}
	for key, w := range m.windows {
		records, pending, rejected := m.count(key)
		texts = append(texts, words("window", key.functionID, key.start, w.state, w.planned, records, pending,
			rejected, w.source, w.attempts, w.err, w.completed,
			w.expired.Missed, w.expired.Unproven, w.refused.From, w.stuck, w.retry))
	}
	for key, w := range m.walks {
		texts = append(texts, words("walk", key.functionID, key.start, w.Span.To, w.Cursor, w.Seen))
	}
	for payload, key := range m.rejected {
		texts = append(texts, words("rejected", key.functionID, strings.TrimPrefix(payload, fmt.Sprint(key.functionID)), key.start))
	}
	slices.Sort(texts)
	return texts
}

// words joins texts that are not empty, as concat_ws does with values that are not NULL.
func words(values ...any) string {
	var texts []string
	for _, v := range values {
		text := fmt.Sprint(v)
		switch v := v.(type) {
		case time.Time:
			if text = ""; !v.IsZero() {
				text = fmt.Sprint(v.Unix())
			}
		case bool:
			text = text[:1]
		}
		if text != "" {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, " ")
}
