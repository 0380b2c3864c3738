package simulate

import (
	"cmp"
	"net/http"
	"sync"
)

// Stats counts what a Server has done since New. Each operation, named as in the
// SDK, counts the authenticated calls, with any answer.
type Stats struct {
	ListFunctions                 int64
	ListFunctionVersions          int64
	ListVersionAliases            int64
	ListAsyncInvocations          int64
	ListFunctionAsyncInvokeConfig int64
	ShowProjectAsyncStatusLogInfo int64

	ListStatefulAsyncInvocations         int64
	ListStatefulAsyncInvocationFunctions int64
	KeystoneCreateUserTokenByPassword    int64
	KeystoneListProjects                 int64

	Unauthorized int64 // answered 401, by the identity service

	Forbidden int64 // answered 403
	Throttled int64 // answered 429
	Invalid   int64 // answered 400
	NotFound  int64 // answered 404
	Failed    int64 // answered 500 or 502
	Disturbed int64 // disturbed by one of the Faults of calls

	Records int64 // invocations served, counted each time
}

// counters are the Stats of a Server that is in use.
type counters struct {
	mu sync.Mutex
	Stats
}

func (c *counters) add(count *int64, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*count += int64(n)
}

func (c *counters) refused(status int) {
	count := map[int]*int64{
		http.StatusUnauthorized: &c.Unauthorized, http.StatusForbidden: &c.Forbidden, http.StatusTooManyRequests: &c.Throttled,
		http.StatusBadRequest: &c.Invalid, http.StatusNotFound: &c.NotFound,
	}[status]
	c.add(cmp.Or(count, &c.Failed), 1)
}

// Stats returns the counts so far.
func (s *Server) Stats() Stats {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	return s.stats.Stats
}
