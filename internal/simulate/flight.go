package simulate

import (
	"time"

	"archiver/internal/simulate/dataset"
)

// flight sets the state of a record that is in flight at some time: it waits, then
// runs, then settles. Each step takes a part of a stage, beginning when the record
// was queued or the server started, if that is later. A failed record that is
// retried rests for a stage first. A record is never shown as started or ended
// before its start or end.
func (f *faulter) flight(i *item, end *dataset.Outcome, now moment) {
	settled := f.since(i.end)
	if i.draw.of(drawInFlight).share() < f.inFlight {
		running := later(f.since(i.queued).Add(f.part(i.draw.of(drawWaiting))), time.Unix(i.start, 0))
		settled = later(running.Add(f.part(i.draw.of(drawRunning))), time.Unix(i.end, 0))
		i.started, i.settled = !now.wall.Before(running), !now.wall.Before(settled)
		switch {
		case !i.started:
			i.Outcome = dataset.Waiting
		case !i.settled:
			i.Outcome = dataset.Running
		default:
			i.Outcome = end
			i.shift(moved(i, f.move, drawMove, drawMoved, settled))
		}
	}
	if !i.settled || i.Status != dataset.StatusFail || i.draw.of(drawRetried).share() >= f.retry {
		return
	}
	again := settled.Add(f.stage/2 + f.part(i.draw.of(drawResting)))
	if now.wall.Before(again) {
		return
	}
	how := f.move
	if how == "none" {
		how = "day"
	}
	i.Outcome = dataset.Succeeded
	i.shift(moved(i, how, drawMoveAgain, drawMovedAgain, again))
}

// part is from half a stage to a whole stage.
func (f *faulter) part(d dice) time.Duration {
	return f.stage/2 + time.Duration(d.share()*float64(f.stage/2))
}

func (i *item) shift(seconds int64) {
	i.start += seconds
	i.end += seconds
}

// moved draws by how many seconds a record starts later: within its day, in the
// night after, or in the first hours of the next month. The record does not end
// after the given time.
func moved(i *item, how string, drawHow, drawWhen dice, end time.Time) int64 {
	if how == "mixed" {
		list := []string{"none", "day", "midnight", "month"}
		how = list[i.draw.of(drawHow).upTo(int64(len(list)))]
	}
	if how == "none" {
		return 0
	}
	day := time.Unix(i.start, 0).UTC().Truncate(24 * time.Hour)
	midnight := day.AddDate(0, 0, 1).Unix()
	d := i.draw.of(drawWhen)
	to := midnight + d.upTo(6*60*60)
	switch how {
	case "day":
		to = min(i.start+1+d.upTo(midnight-i.start), midnight-1)
	case "month":
		to = time.Date(day.Year(), day.Month()+1, 1, 0, 0, 0, 0, time.UTC).Unix() + d.upTo(6*60*60)
	}
	return max(0, min(to, end.Unix()-(i.end-i.start))-i.start)
}
