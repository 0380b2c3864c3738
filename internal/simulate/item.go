package simulate

import (
	"strconv"
	"strings"
	"time"

	"archiver/internal/simulate/dataset"
)

// item is the state of a record at a moment, with its faults. Times are in seconds
// since the epoch. appendItem draws how the values are written.
type item struct {
	*dataset.Outcome
	dataset.Position
	draw             dice
	queued           int64 // from when on the API lists the record
	created          int64 // the time that filter=creation uses
	start, end       int64
	started, settled bool
	sentStatus       dataset.Status // the outcome's, or an unknown one
	unusable         unusable       // 0 for a record that can be used
	noStart, noEnd   bool           // a time that is not shown
}

// moment is the time as of which records are shown.
type moment struct {
	wall time.Time
	data int64 // by the Data's clock, see its AsOf
}

// item returns the state of a record and whether it is listed by now. It leaves out
// what happens during walks.
func (f *faulter) item(function int, h dataset.Hit, now moment) (i item, listed bool) {
	i.Position = h.Position(function)
	i.draw = f.root.of(drawRecord).of(dice(function)).of(dice(i.Day)).of(dice(i.Index))
	if i.draw.of(drawUnusable).share() < f.rejected {
		i.unusable = unusableAbsent // all sets the kind
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
	i.sentStatus = i.Status
	switch {
	case i.unusable != 0:
	case i.settled:
		f.damage(&i)
	default:
		i.sentStatus = f.strange(&i)
	}
	i.noStart, i.noEnd = i.noStart || !i.started, i.noEnd || !i.settled
	return i, true
}

// since is a time in seconds since the epoch, or the server's start if that is
// later.
func (f *faulter) since(unix int64) time.Time { return later(time.Unix(unix, 0), f.started) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// damage applies the faults of single records to a settled record.
func (f *faulter) damage(i *item) {
	if i.draw.of(drawStatuses).share() < f.statuses {
		list := []dataset.Status{"RETRYING", "Succeeded", "success", "TIMEOUT", "执行中", " ", "INTERNAL/2 \"quoted\""}
		i.sentStatus = list[i.draw.of(drawStatus).upTo(int64(len(list)))]
	}
	if i.draw.of(drawReversed).share() < f.reversed {
		i.end = i.start - 1 - i.draw.of(drawReversal).upTo(90)
	}
	f.untime(i)
}

// texts returns the error message as sent, a JSON string, and as an archive should
// hold it: with U+FFFD for each character that PostgreSQL's text cannot hold.
func (f *faulter) texts(i *item) (raw, kept string) {
	switch {
	case !i.settled:
	case i.draw.of(drawHuge).share() < f.huge:
		// The text varies, so that a test sees a message that was cut.
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

// extras returns the fields that the pages do not name, as the inside of a JSON
// object.
func (f *faulter) extras(i *item) string {
	if i.draw.of(drawExtra).share() >= f.extra {
		return ""
	}
	return `"retry_count":` + strconv.FormatInt(i.draw.of(drawExtra).upTo(9), 10) +
		`,"log":{"stream":"` + strconv.FormatUint(uint64(i.draw), 16) + `","offsets":[1,2.50,null]},"tag":null`
}

// shape is the format of a record's times.
func (f *faulter) shape(i *item) string {
	if f.times != "mixed" {
		return f.times
	}
	list := []string{"plain", "z", "offset", "fraction"}
	return list[i.draw.of(drawTime).upTo(int64(len(list)))]
}

// fraction is the fraction of a second that is added to both of a record's times,
// in µs. It is the same for both, so that no record ends before it starts.
func (f *faulter) fraction(i *item) int64 {
	if f.shape(i) != "fraction" {
		return 0
	}
	if d := i.draw.of(drawFraction); d.share() < 0.5 {
		return d.upTo(1000) * 1000
	}
	return i.draw.of(drawFraction).upTo(1_000_000)
}

// record is the item as an archive should hold it.
func (f *faulter) record(i *item) dataset.Record {
	r := dataset.Record{RequestID: f.data.RequestID(i.Position), Status: dataset.Status(f.spell(i, string(i.sentStatus))), ErrorCode: i.Code}
	_, r.ErrorMessage = f.texts(i)
	if extras := f.extras(i); extras != "" {
		r.Extra = "{" + extras + "}"
	}
	if !i.noStart {
		r.Start = time.Unix(i.start, f.fraction(i)*1000).UTC()
	}
	if !i.noEnd {
		r.End = time.Unix(i.end, f.fraction(i)*1000).UTC()
	}
	return r
}
