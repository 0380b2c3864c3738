package simulate

import (
	"net/http"
	"sync/atomic"
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

// counters count what Stats returns.
type counters struct {
	listFunctions, listVersions, listAliases, listInvocations, listConfigs, showStatusLog atomic.Int64
	listStateful, listStatefulFunctions                                                   atomic.Int64

	createTokens, listProjects atomic.Int64

	unauthorized, forbidden, throttled, invalid, notFound, failed, disturbed atomic.Int64

	records atomic.Int64
}

func (c *counters) refused(status int) {
	switch status {
	case http.StatusUnauthorized:
		c.unauthorized.Add(1)
	case http.StatusForbidden:
		c.forbidden.Add(1)
	case http.StatusTooManyRequests:
		c.throttled.Add(1)
	case http.StatusBadRequest:
		c.invalid.Add(1)
	case http.StatusNotFound:
		c.notFound.Add(1)
	default:
		c.failed.Add(1)
	}
}

// Stats returns the counts so far. A call that is not finished may be in some of
// them and not yet in others.
func (s *Server) Stats() Stats {
	c := &s.stats
	return Stats{
		ListFunctions:                 c.listFunctions.Load(),
		ListFunctionVersions:          c.listVersions.Load(),
		ListVersionAliases:            c.listAliases.Load(),
		ListAsyncInvocations:          c.listInvocations.Load(),
		ListFunctionAsyncInvokeConfig: c.listConfigs.Load(),
		ShowProjectAsyncStatusLogInfo: c.showStatusLog.Load(),

		ListStatefulAsyncInvocations:         c.listStateful.Load(),
		ListStatefulAsyncInvocationFunctions: c.listStatefulFunctions.Load(),
		KeystoneCreateUserTokenByPassword:    c.createTokens.Load(),
		KeystoneListProjects:                 c.listProjects.Load(),

		Unauthorized: c.unauthorized.Load(),

		Forbidden: c.forbidden.Load(),
		Throttled: c.throttled.Load(),
		Invalid:   c.invalid.Load(),
		NotFound:  c.notFound.Load(),
		Failed:    c.failed.Load(),
		Disturbed: c.disturbed.Load(),

		Records: c.records.Load(),
	}
}
