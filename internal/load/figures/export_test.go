package figures

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	PlanCounts   = planCounts
	FewFunctions = fewFunctions
)

var (
	CountHours      = countHours
	CountErrorCodes = countErrorCodes
)

// CountDay counts one day.
func CountDay(ctx context.Context, tx pgx.Tx, d time.Time) error {
	return countDays(ctx, tx, d, d.AddDate(0, 0, 1))
}
