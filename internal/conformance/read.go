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

// hour returns the query for the hour from noon, with a second more on each side, as
// the loop asks for it.
func (w *world) hour() archive.Query {
	return archive.Query{
		Function: w.suite.Function(0), From: noon.Add(-time.Second), To: noon.Add(time.Hour + time.Second),
	}
}

// errEnded says that a sequence ended without an error and without a last page.
var errEnded = errors.New("the sequence ended without an error and without a last page")

// read returns all pages of a query. The tests look at them after the last one: a source
// must not change a page that it has yielded.
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

// list returns all functions of a source.
func list(ctx context.Context, source archive.Source) (all []archive.Function, err error) {
	for page, err := range source.Functions(ctx) {
		if err != nil {
			return all, err
		}
		all = append(all, page...)
	}
	return all, nil
}

// ids returns the distinct request ids of pages, in order.
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

// idsOf returns the ids of records, in order.
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

// checkRecords checks that pages have all of the records and no others.
func checkRecords(t *testing.T, pages []archive.Page, records []Record) {
	t.Helper()
	got, want := ids(pages), idsOf(records)
	if !slices.Equal(got, want) {
		t.Errorf("%d records in %d pages, want %d: %s", len(got), len(pages), len(want), firstDifferences(got, want))
	}
}

// firstDifferences returns the first ids that only one of the two lists has.
func firstDifferences(got, want []string) string {
	var parts []string
	for _, id := range want {
		if _, ok := slices.BinarySearch(got, id); !ok {
			parts = append(parts, id+" is missing")
		}
	}
	for _, id := range got {
		if _, ok := slices.BinarySearch(want, id); !ok {
			parts = append(parts, id+" is unexpected")
		}
	}
	return strings.Join(parts[:min(len(parts), 5)], ", ")
}

// checkError checks that an error has one line and shows no secret.
func (s *Suite) checkError(t *testing.T, err error) {
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
