package days

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/load/pg"
)

// A part is a partition of invocations_dated: the table of a UTC day, or of a month
// (see Days.oldBefore). from and to are at 00:00 UTC.
type part struct{ from, to time.Time }

const (
	partPrefix  = "invocations_"
	dayLayout   = "20060102"
	monthLayout = "200601"
)

// day is the UTC day of a time.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// dayOf is the part of a day that has a table of its own.
func dayOf(d time.Time) part { return part{d, d.AddDate(0, 0, 1)} }

// monthOf is the part of the month of a day.
func monthOf(d time.Time) part {
	first := time.Date(d.Year(), d.Month(), 1, 0, 0, 0, 0, time.UTC)
	return part{first, first.AddDate(0, 1, 0)}
}

func (p part) isMonth() bool { return p == monthOf(p.from) }

// days are the days of the part.
func (p part) days() (all []time.Time) {
	for d := p.from; d.Before(p.to); d = d.AddDate(0, 0, 1) {
		all = append(all, d)
	}
	return all
}

// String is the day or the month, as in 2026-03-14 and 2026-03.
func (p part) String() string {
	if p.isMonth() {
		return p.from.Format("2006-01")
	}
	return p.from.Format(time.DateOnly)
}

// name is the name of the part's table, without its schema.
func (p part) name() string {
	if p.isMonth() {
		return partPrefix + p.from.Format(monthLayout)
	}
	return partPrefix + p.from.Format(dayLayout)
}

// table is the name of the part's table with its schema, quoted.
func (p part) table(db *pg.DB) string { return pgx.Identifier{db.Schema.Days, p.name()}.Sanitize() }

// partNamed is the part whose table has a name. An operator may have attached tables
// with other names.
func partNamed(name string) (p part, ok bool) {
	if d, err := time.Parse(partPrefix+dayLayout, name); err == nil {
		return dayOf(d), true
	}
	if d, err := time.Parse(partPrefix+monthLayout, name); err == nil {
		return monthOf(d), true
	}
	return part{}, false
}

// lock is the advisory lock of the part: its class and its number, of days or months
// since 1970.
func (p part) lock() (class, number int32) {
	if p.isMonth() {
		return pg.MonthLocks, int32((p.from.Year()-1970)*12 + int(p.from.Month()) - 1)
	}
	return pg.DayLocks, int32(p.from.Unix() / int64(24*time.Hour/time.Second))
}

// unique is the definition of the part's unique index. A month refuses what its days
// would refuse: one request id twice on one day.
func (p part) unique(db *pg.DB) string {
	columns := `request_id`
	if p.isMonth() {
		columns += `, ((start_time AT TIME ZONE 'UTC')::date)`
	}
	return `CREATE UNIQUE INDEX IF NOT EXISTS ` + pgx.Identifier{p.name() + "_request_id"}.Sanitize() + ` ON ` + p.table(db) + ` (` + columns + `)`
}

// byTime is the definition of the part's index on functions and times: see Index.
func (p part) byTime(db *pg.DB) string {
	return `CREATE INDEX IF NOT EXISTS ` + pgx.Identifier{p.name() + "_start_time"}.Sanitize() + ` ON ` + p.table(db) + `
		 USING brin (function_id, start_time) WITH (pages_per_range = 16, autosummarize = on)`
}

// create creates the part's table, which is not attached.
func (p part) create(db *pg.DB) string {
	// 00006_partitions.sql says why FULL.
	return `CREATE TABLE IF NOT EXISTS ` + p.table(db) + ` (LIKE invocations INCLUDING DEFAULTS INCLUDING CONSTRAINTS) WITH (` + storage + `);
		ALTER TABLE ` + p.table(db) + ` REPLICA IDENTITY FULL`
}

// The bounds of a partition must be constants, not parameters.
const boundLayout = "'2006-01-02 15:04:05+00'"

// attach attaches the part's table.
func (p part) attach(db *pg.DB) string {
	return fmt.Sprintf(`ALTER TABLE invocations_dated ATTACH PARTITION %s FOR VALUES FROM (%s) TO (%s)`,
		p.table(db), p.from.Format(boundLayout), p.to.Format(boundLayout))
}

// bounds is the condition that attach puts on rows.
func (p part) bounds() string {
	return fmt.Sprintf(`start_time IS NOT NULL AND start_time >= %s AND start_time < %s`, p.from.Format(boundLayout), p.to.Format(boundLayout))
}
