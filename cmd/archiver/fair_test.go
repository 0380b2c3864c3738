package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

// smallFunctions is the number of small functions of an unfair day.
const smallFunctions = 100

// unfair is a day of one function with 300,000 records in one hour, listed
// first, and small ones with 30 each in the same hour.
func unfair(t *testing.T) *dataset.Data {
	t.Helper()
	functions := []traced{{name: "large", perMinute: inHour(10, 10_000)}}
	for i := range smallFunctions {
		functions = append(functions, traced{name: fmt.Sprintf("small-%03d", i+1), perMinute: inHour(10, 1)})
	}
	return trace(t, day, functions...)
}

// inHour has so many records in each of the first 30 minutes of an hour.
func inHour(hour, perMinute int) func(minute int) int {
	return func(minute int) int {
		if minute/60 != hour || minute%60 >= 30 {
			return 0
		}
		return perMinute
	}
}

// With one call at a time, a function with 300,000 records in one hour does not
// delay a hundred small functions in the same hour. Each call takes 5 ms, so that the
// calls, and not the speed of the machine, decide who waits for whom.
func TestLargeFunctionHoldsUpNobody(t *testing.T) {
	t.Parallel()
	api, err := simulate.New(simulate.Options{
		Data: unfair(t), AccessKey: testAccessKey, SecretKey: testSecretKey, Latency: 5 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	large, before := 0, 0 // pages of the large one; those before the last of a small one
	small := make(map[string]bool)
	in := install(t, newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/async-invocations") {
			mu.Lock()
			if strings.Contains(r.URL.Path, ":large:") {
				large++
			} else {
				small[r.URL.Path], before = true, large
			}
			mu.Unlock()
		}
		api.ServeHTTP(w, r)
	})))
	code, _, stderr := in.run(nil, "backfill", "--from", "2026-03-29T10:00:00Z", "--to", "2026-03-29T11:00:00Z", "--concurrency", "1")
	if code != exitDone {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	mu.Lock()
	defer mu.Unlock()
	// One more page than there are proves the count.
	if len(small) != smallFunctions || large > 601 || before > large*3/4 {
		t.Errorf("%d of %d pages were asked for before the last of %d small functions", before, large, len(small))
	}
	t.Logf("%d of %d pages were asked for before the last of %d small functions", before, large, len(small))
	if n := queryValue[int64](in, `SELECT count(*) FROM invocations`); n != 300_000+30*smallFunctions {
		t.Errorf("%d rows", n)
	}
}
