package simulate

import (
	"time"

	"archiver/internal/simulate/dataset"
)

// flight puts a record that is to be in flight where it is by now: it waits,
// runs and settles, a part of a stage each, from when it was queued or the
// server started, whichever was later. A failed one that is to be tried again
// rests for a stage first. Nothing starts, or ends, later than it is seen to.
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
	if !i.settled || i.Outcome.Status != dataset.StatusFail || i.draw.of(drawRetried).share() >= f.retry {
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

// part is from half of a stage to the whole.
func (f *faulter) part(d dice) time.Duration {
	return f.stage/2 + time.Duration(d.share()*float64(f.stage/2))
}

// shift moves a record in time.
func (i *item) shift(seconds int64) {
	i.start += seconds
	i.end += seconds
}

// moved draws by how many seconds a record starts later than it did: within its
// day, in the night after, or in the first hours of the next month. It ends no
// later than at a given time.
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
