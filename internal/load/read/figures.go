package read

import (
	"context"
	_ "embed" // statements
	"time"

	"archiver/internal/load/pg"
)

// A Figure counts the invocations of an hour or a UTC day.
type Figure struct {
	At      time.Time
	Records int64
	Failed  int64 // failed and discarded
}

var (
	//go:embed sourcefigures.sql
	selectSourceFigures string
	//go:embed dayfigures.sql
	selectDayFigures string
	//go:embed hourfigures.sql
	selectHourFigures string
)

// Figures are the figures of the functions together in [from, to), in the order of
// time. nil stands for all functions. Figures follow the records by some seconds.
func (s *Snapshot) Figures(ctx context.Context, functions []int32, from, to time.Time, grain Grain) ([]Figure, error) {
	statement, args := selectHourFigures, pg.Args{"from": from, "to": to}
	switch {
	case functions == nil:
		statement, args["grain"] = selectSourceFigures, string(grain)
	case grain == Daily:
		statement, args["functions"] = selectDayFigures, functions
	default:
		args["functions"] = functions
	}
	return pg.Collect[Figure](ctx, s.tx, "the figures", statement, args)
}
