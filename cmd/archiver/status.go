package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"archiver/internal/load"
)

// statusCommand shows what is archived and what is not.
type statusCommand struct {
	logFlags
	JSON bool `name:"json" help:"For programs."`
}

// statusRuns is how many runs are shown.
const statusRuns = 5

// A status is what the command prints, and its JSON.
type status struct {
	Functions []load.FunctionStatus `json:"functions"`
	Runs      []load.RunStatus      `json:"runs"`
}

func readStatus(ctx context.Context, store *load.Store) (s status, err error) {
	if err := store.Ping(ctx); err != nil {
		return s, err
	}
	if s.Functions, err = store.Status(ctx); err != nil {
		return s, err
	}
	s.Runs, err = store.LastRuns(ctx, statusRuns)
	return s, err
}

// Run is called by the command line.
func (c *statusCommand) Run(ctx context.Context, s streams, in *inForce) error {
	address, err := in.databaseURL()
	if err != nil {
		return err
	}
	store, err := load.Open(ctx, address, 1, c.logger(s.err), load.Rotated(in.database.Read))
	if err != nil {
		return connectHint(err)
	}
	defer store.Close()
	status, err := readStatus(ctx, store)
	if err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(s.out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(status)
	}
	return status.print(s.out)
}

func (s *status) print(w io.Writer) error {
	var total load.FunctionStatus
	for i := range s.Functions {
		f := &s.Functions[i]
		total.Windows += f.Windows
		total.Complete += f.Complete
		total.Open += f.Open
		total.Records += f.Records
		total.Pending += f.Pending
		total.Rejected += f.Rejected
		total.Off += f.Off
		if f.OpenSince != nil && (total.OpenSince == nil || f.OpenSince.Before(*total.OpenSince)) {
			total.OpenSince = f.OpenSince
		}
	}
	fmt.Fprintf(w, "%d functions, %d of %d windows complete, %d records, %d in flight, %d rejected\n",
		len(s.Functions), total.Complete, total.Windows, total.Records, total.Pending, total.Rejected)
	if total.OpenSince != nil {
		fmt.Fprintf(w, "%d windows are not complete, the first of %s\n", total.Open, minute(total.OpenSince))
	}
	if total.Off > 0 {
		fmt.Fprintf(w, "%d windows are off: the source kept no records then\n", total.Off)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(s.Functions) > 0 {
		fmt.Fprint(table, "\nFUNCTION\tCOMPLETE\tFROM\tTO\tRECORDS\tIN FLIGHT\tOPEN SINCE\tWHY\n")
	}
	for _, f := range s.Functions {
		why := ""
		switch {
		case f.GoneAt != nil:
			why = "gone"
		case f.LastError != nil:
			why = *f.LastError
		case f.OffSince != nil:
			why = fmt.Sprintf("status log off since %s: the source keeps no records", minute(f.OffSince))
		}
		fmt.Fprintf(table, "%s\t%d/%d\t%s\t%s\t%d\t%d\t%s\t%s\n", shorten(f.Name), f.Complete, f.Windows,
			minute(f.From), minute(f.To), f.Records, f.Pending, minute(f.OpenSince), why)
	}
	if len(s.Runs) > 0 {
		fmt.Fprint(table, "\nRUN\tSTARTED\tSECONDS\tWINDOWS\tRECORDS\tCALLS\tENDED\n")
	}
	for _, r := range s.Runs {
		seconds := "-"
		if r.Finished != nil {
			seconds = fmt.Sprintf("%.1f", r.Finished.Sub(r.Started).Seconds())
		}
		fmt.Fprintf(table, "%d %s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.AskedBy, minute(&r.Started), seconds,
			number(r.Windows), number(r.Records), number(r.Calls), r.Outcome)
	}
	return table.Flush()
}

func minute(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04Z")
}

func number(n *int64) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprint(*n)
}

// shorten keeps a table narrow.
func shorten(name string) string {
	const most = 24
	if r := []rune(name); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return name
}
