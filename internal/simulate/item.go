package simulate

import (
	"strconv"
	"strings"
	"time"

	"archiver/internal/simulate/dataset"
)

// item is a record as it stands at a moment, faults included. Times are in
// seconds since the epoch; how they and the rest are written is drawn when they
// are (see appendItem).
type item struct {
	*dataset.Outcome
	dataset.Position
	draw             dice
	queued           int64 // when the API would list it first
	created          int64 // what filter=creation goes by
	start, end       int64
	started, settled bool
	sentStatus       dataset.Status // the outcome's, or an unknown one
	unusable         unusable       // 0 for a record that can be used
}

// moment is a time at which records are looked at.
type moment struct {
	wall time.Time
	data int64 // by the Data's clock, see its AsOf
}

// item returns how a record stands, and whether it is listed by now. What
// happens to it while it is walked is left out.
func (f *faulter) item(function int, h dataset.Hit, now moment) (i item, listed bool) {
	i.Position = h.Position(function)
	i.draw = f.root.of(drawRecord).of(dice(function)).of(dice(i.Day)).of(dice(i.Index))
	if i.draw.of(drawUnusable).share() < f.rejected {
		i.unusable = unusableAbsent // which it is, all says
	}
	if h.Listed(now.data) > now.data {
		return i, false
	}
	s := h.State(now.data)
	i.Outcome, i.start, i.end, i.started, i.settled = s.Outcome, s.Start, s.End, s.Started, s.Settled
	i.queued = i.start - h.Wait()
	i.created = i.queued - i.draw.of(drawCreation).upTo(10*60)
	if f.late > 0 && now.wall.Before(f.since(i.start).Add(f.late)) && i.draw.of(drawLate).share() < f.lateShare {
		return i, false
	}
	if i.unusable == 0 {
		f.flight(&i, h.Outcome(), now)
	}
	i.sentStatus = i.Outcome.Status
	if i.settled && i.unusable == 0 {
		f.spoil(&i)
	}
	return i, true
}

// since is a time in seconds since the epoch, or that of the server's start
// where this is later.
func (f *faulter) since(unix int64) time.Time { return later(time.Unix(unix, 0), f.started) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// spoil damages a settled record.
func (f *faulter) spoil(i *item) {
	if i.draw.of(drawStatuses).share() < f.statuses {
		list := []dataset.Status{"RETRYING", "Succeeded", "success", "TIMEOUT", "执行中", " ", "INTERNAL/2 \"quoted\""}
		i.sentStatus = list[i.draw.of(drawStatus).upTo(int64(len(list)))]
	}
	if i.draw.of(drawReversed).share() < f.reversed {
		i.end = i.start - 1 - i.draw.of(drawReversal).upTo(90)
	}
}

// texts returns the error message as it is sent, a JSON string, and as it is to
// be kept, with U+FFFD for what no text can hold.
func (f *faulter) texts(i *item) (raw, kept string) {
	switch {
	case !i.settled:
	case i.draw.of(drawHuge).share() < f.huge:
		// A line that is not one letter only, so that it cannot pass for cut.
		line := "at handler (" + strconv.FormatUint(uint64(i.draw), 16) + ")\n"
		kept = strings.Repeat(line, 1+megabyte/len(line))[:megabyte]
		return quote(kept), kept
	case i.draw.of(drawNUL).share() < f.nul:
		return `"NUL \u0000, halves \ud83d and \uDE00, in the wrong order \udc00\ud83d, whole \ud83d\ude00"`,
			"NUL \uFFFD, halves \uFFFD and \uFFFD, in the wrong order \uFFFD\uFFFD, whole \U0001F600"
	}
	return quote(i.Message), i.Message
}

const megabyte = 1 << 20

// extras returns the fields that no page names, as they stand in an object.
func (f *faulter) extras(i *item) string {
	if i.draw.of(drawExtra).share() >= f.extra {
		return ""
	}
	return `"retry_count":` + strconv.FormatInt(i.draw.of(drawExtra).upTo(9), 10) +
		`,"log":{"stream":"` + strconv.FormatUint(uint64(i.draw), 16) + `","offsets":[1,2.50,null]},"tag":null`
}

// shape is how one of a record's times is written.
func (f *faulter) shape(i *item) string {
	if f.times != "mixed" {
		return f.times
	}
	list := []string{"plain", "z", "offset", "fraction"}
	return list[i.draw.of(drawTime).upTo(int64(len(list)))]
}

// fraction is the part of a second by which a record's times are later, in µs:
// the same for both, so that none ends before it starts.
func (f *faulter) fraction(i *item) int64 {
	if f.shape(i) != "fraction" {
		return 0
	}
	if d := i.draw.of(drawFraction); d.share() < 0.5 {
		return d.upTo(1000) * 1000
	}
	return i.draw.of(drawFraction).upTo(1_000_000)
}

// record is the item as it is to be archived.
func (f *faulter) record(i *item) dataset.Record {
	r := dataset.Record{RequestID: f.data.RequestID(i.Position), Status: i.sentStatus, ErrorCode: i.Code}
	_, r.ErrorMessage = f.texts(i)
	if extras := f.extras(i); extras != "" {
		r.Extra = "{" + extras + "}"
	}
	if i.started {
		r.Start = time.Unix(i.start, f.fraction(i)*1000).UTC()
	}
	if i.settled {
		r.End = time.Unix(i.end, f.fraction(i)*1000).UTC()
	}
	return r
}
