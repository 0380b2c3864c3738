package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
)

// hour asks for the hour from noon on as the loop does, a second wider.
func (w *world) hour() archive.Query {
	return archive.Query{
		Function: w.suite.Function(0), From: noon.Add(-time.Second), To: noon.Add(time.Hour + time.Second),
	}
}

// errEnded is what read says of a sequence that just ends.
var errEnded = errors.New("the sequence ended without an error and without a last page")

// read is all that a query gives, page by page. It is looked at once all of it
// is there: what was yielded stays as it is.
func read(ctx context.Context, source archive.Source, q archive.Query) (pages []archive.Page, err error) {
	ended := false
	for page, err := range source.Pages(ctx, q) {
		if ended {
			return pages, fmt.Errorf("page %d follows the last one", len(pages)+1)
		}
		if err != nil {
			return pages, err
		}
		pages = append(pages, page)
		ended = page.Last
	}
	if !ended {
		return pages, fmt.Errorf("%w of %d", errEnded, len(pages))
	}
	return pages, nil
}

// list is all functions of a source.
func list(ctx context.Context, source archive.Source) (all []archive.Function, err error) {
	for page, err := range source.Functions(ctx) {
		if err != nil {
			return all, err
		}
		all = append(all, page...)
	}
	return all, nil
}

// ids are the distinct request ids of some pages, in order.
func ids(pages []archive.Page) []string {
	var all []string
	for _, page := range pages {
		for i := range page.Invocations {
			all = append(all, page.Invocations[i].RequestID)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// idsOf are the ids of records, in order.
func idsOf(records []Record) []string {
	var all []string
	for i := range records {
		if records[i].Raw == "" {
			all = append(all, records[i].ID)
		}
	}
	slices.Sort(all)
	return all
}

// same checks that pages hold the records, all of them and no others.
func same(t *testing.T, pages []archive.Page, records []Record) {
	t.Helper()
	got, want := ids(pages), idsOf(records)
	if !slices.Equal(got, want) {
		t.Errorf("%d records in %d pages, want %d: %s", len(got), len(pages), len(want), differences(got, want))
	}
}

// differences are the first ids that only one of two has.
func differences(got, want []string) string {
	var parts []string
	for _, id := range want {
		if _, ok := slices.BinarySearch(got, id); !ok {
			parts = append(parts, id+" is missing")
		}
	}
	for _, id := range got {
		if _, ok := slices.BinarySearch(want, id); !ok {
			parts = append(parts, id+" is none")
		}
	}
	return strings.Join(parts[:min(len(parts), 5)], ", ")
}

// fit checks that an error can be shown: on one line, and without a secret.
func (s *Suite) fit(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, never := range append([]string{"\n", "\r"}, s.Secrets...) {
		if strings.Contains(err.Error(), never) {
			t.Errorf("the error shows %q: %v", never, err)
		}
	}
}
