package read

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Print runs a query and writes its rows as a table.
func (a *Archive) Print(ctx context.Context, w io.Writer, query string) error {
	rows, err := a.db.Pool.Query(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i, f := range rows.FieldDescriptions() {
		if i > 0 {
			fmt.Fprint(table, "\t")
		}
		fmt.Fprint(table, strings.ToUpper(f.Name))
	}
	fmt.Fprintln(table)
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return err
		}
		for i, v := range values {
			if i > 0 {
				fmt.Fprint(table, "\t")
			}
			fmt.Fprint(table, v)
		}
		fmt.Fprintln(table)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return table.Flush()
}
