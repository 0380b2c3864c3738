package read

import (
	"fmt"
	"strings"
	"time"

	"archiver/internal/archive"
	"archiver/internal/words"
)

// passes says whether passes come, and succeed. One pass that fails is a warning: the next one
// may make up for it. From the second one on, or if none ever succeeded, it is bad. So is a
// source of which two passes did not even begin.
func (j *judge) passes() {
	s := j.source
	if s.PassEvery == nil {
		return // there was none
	}
	switch {
	case s.FailedPasses > 0 && s.LastOutcome != nil && s.FailingSince != nil:
		j.failing()
	case s.LastSuccess == nil && len(j.reasons) == 0:
		j.say(AboutPasses, Warning, s.FirstSeen, "No pass has archived all that was due yet.", j.nextAttempt())
	}
	if s.DueBy != nil && j.Now.After(*s.DueBy) && !s.Running {
		j.say(AboutSchedule, Bad, s.LastSeen, fmt.Sprintf("No pass has begun since %s UTC.", words.Minute(s.LastSeen)),
			fmt.Sprintf("Passes come every %s, and two were missed: see whether archiver run is up, or what starts archiver once.", words.Duration(*s.PassEvery)))
	}
}

// failing says that the last passes ended without success.
func (j *judge) failing() {
	s := j.source
	failed := *s.LastOutcome == "failed"
	if !failed && j.givenUpSince() {
		return
	}
	level := Warning
	if s.FailedPasses > 1 || s.LastSuccess == nil {
		level = Bad
	}
	text := "The last pass failed"
	switch {
	case failed && s.FailedPasses > 1:
		text = fmt.Sprintf("The last %s passes have not succeeded", words.Number(s.FailedPasses))
	case !failed && s.FailedPasses == 1:
		text = "The last pass did not archive all that was due"
	case !failed:
		text = fmt.Sprintf("The last %s passes did not archive all that was due", words.Number(s.FailedPasses))
	}
	if s.LastError != nil {
		text += ": " + strings.TrimSuffix(*s.LastError, ".")
	}
	more := fmt.Sprintf("Since %s UTC, %s.", words.Minute(*s.FailingSince), words.Ago(*s.FailingSince, j.Now))
	if next := j.nextAttempt(); next != "" {
		more += " " + next
	}
	if failed {
		more += " archiver check says what to do."
	}
	j.say(AboutPasses, level, *s.FailingSince, text+".", more)
}

// nextAttempt says when the next pass begins.
func (j *judge) nextAttempt() string {
	if next := j.source.NextAttempt; next != nil && next.After(j.Now) {
		return "The next pass begins at " + words.Minute(*next) + " UTC."
	}
	return ""
}

// givenUpSince reports whether functions were given up after the last pass began, and nothing
// else is known to be wrong: the next pass tells.
func (j *judge) givenUpSince() bool {
	for _, r := range j.reasons {
		if r.Level != OK {
			return false
		}
	}
	for _, f := range j.functions {
		if f.IgnoredAt != nil && f.IgnoredAt.After(j.source.LastSeen) {
			return true
		}
	}
	return false
}

// vanishedFor is how long functions that are gone at once are a warning.
const vanishedFor = 24 * time.Hour

// vanished says how many functions are gone, or not listed any more.
func (j *judge) vanished() {
	var unlisted, lately, all int64
	var first time.Time
	for _, f := range j.functions {
		var since time.Time
		switch f.Standing {
		case Wanted:
			all++
			continue
		case "gone":
			since = *f.GoneAt
		case "missing":
			unlisted++
			since = *f.MissingSince
		default:
			continue
		}
		if j.Now.Sub(since) > vanishedFor {
			continue
		}
		all++
		lately++
		if first.IsZero() || since.Before(first) {
			first = since
		}
	}
	if archive.GoneAtOnce(lately, all) {
		j.say(AboutFunctions, Warning, first, fmt.Sprintf("%s of %s are gone at once.", words.Number(lately), words.Plural(all, "function", "functions")),
			fmt.Sprintf("The source has not known them, or not listed them, since %s UTC. See whether they were deleted, and whether account, region and permissions are right; "+
				"archiver ignore gives functions up. Without it, this warning ends a day after the last of them.", words.Minute(first)))
	}
	if unlisted > 0 {
		j.say(AboutFunctions, OK, time.Time{}, fmt.Sprintf("%s %s not listed any more, and probably deleted.", words.Plural(unlisted, "function", "functions"), is(unlisted)), "")
	}
}
