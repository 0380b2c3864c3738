package simulate

import (
	"cmp"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// gateways are what the API's gateway does to calls, whatever they ask for.
type gateways struct {
	perSecond, perMinute int // calls; 0 for no limit
	throttle             string
	firstThrottled       int // of the first calls
	keptClosed           float64
	signedOnce           bool
}

// gateway are the switches of gateways.
var gateway = []toggle{
	whole("per-second", "calls that are answered in a second, others are answered 429; with only, of each of these functions", 1, func(f *Faults) *int { return &f.perSecond }),
	whole("per-minute", "calls that are answered in a minute, as with per-second", 1, func(f *Faults) *int { return &f.perMinute }),
	words("throttle", "the 429 of per-second, per-minute and first-429: with Retry-After, without, or with the limit in its message", func(f *Faults) *string { return &f.throttle },
		"header", "bare", "message"),
	whole("first-429", "how many of the first calls are answered 429", 1, func(f *Faults) *int { return &f.firstThrottled }),
	shareOf("kept-closed", "calls on a connection that was used before: it is closed without an answer", func(f *Faults) *float64 { return &f.keptClosed }),
	onOff("signed-once", "a signature (or its nonce) that was used before is refused: 401, or 400 SignatureNonceUsed", func(f *Faults) { f.signedOnce = true }),
}

var (
	errSignatureUsed = &refusal{
		status: http.StatusUnauthorized, code: "APIGW.0301", message: "incorrect IAM authentication information: the signature was used before",
	}
	errNonceUsed = &refusal{
		status: http.StatusBadRequest, code: "SignatureNonceUsed", computeCode: "SignatureNonceUsed", message: "specified signature nonce was used already",
	}
)

// gatewayState is what the gateway remembers of calls.
type gatewayState struct {
	mu          sync.Mutex
	accepted    map[period]int
	signatures  recent
	connections recent
}

// period is a second or a minute of a function's calls, or of all calls.
type period struct {
	function int // -1 for all
	length   time.Duration
	begin    time.Time
}

// allCalls stands for a function where calls are counted together.
const allCalls = -1

// overRate counts a call and returns its refusal if there are too many, else nil.
func (f *faulter) overRate(function int, now time.Time) error {
	f.gatewayState.mu.Lock()
	defer f.gatewayState.mu.Unlock()
	accepted := f.gatewayState.accepted
	var current []period
	for _, l := range []struct {
		most   int
		length time.Duration
		name   string
	}{{f.perSecond, time.Second, "second"}, {f.perMinute, time.Minute, "minute"}} {
		if l.most == 0 {
			continue
		}
		p := period{function, l.length, now.Truncate(l.length)}
		if accepted[p] >= l.most {
			return f.throttled(p.begin.Add(l.length).Sub(now), l.most, l.name)
		}
		current = append(current, p)
	}
	for p := range accepted {
		if p.begin.Add(p.length).Before(now) {
			delete(accepted, p)
		}
	}
	for _, p := range current {
		accepted[p]++
	}
	return nil
}

// throttled is the refusal of a call that may be made again after some time.
func (f *faulter) throttled(wait time.Duration, most int, per string) error {
	e := *errThrottled
	switch f.throttle {
	case "header":
		e.retryAfter = max(1, int((wait+time.Second-1)/time.Second))
	case "message":
		e.message = fmt.Sprintf("the throttling threshold has been reached: policy user over ratelimit,limit:%d,time:1 %s", most, per)
	}
	return &e
}

// passGateway returns nil for a call that the gateway lets through, else its refusal.
func (f *faulter) passGateway(r *http.Request, call int64, now time.Time) error {
	if f.signedOnce {
		nonce := r.Header.Get("X-Acs-Signature-Nonce")
		if signature := cmp.Or(nonce, r.Header.Get("Authorization")); signature != "" && f.gatewayState.signatures.add(signature) {
			if nonce != "" {
				return errNonceUsed
			}
			return errSignatureUsed
		}
	}
	switch {
	case f.deny > 0 && call >= int64(f.deny):
		return errDenied
	case call <= int64(f.firstThrottled):
		return f.throttled(time.Second, f.firstThrottled, "minute")
	case f.only >= 1:
		return f.overRate(allCalls, now)
	}
	return nil
}

// losesConnection reports whether the call's connection was used before and is to be
// closed.
func (f *faulter) losesConnection(r *http.Request, d dice) bool {
	return f.keptClosed > 0 && f.gatewayState.connections.add(r.RemoteAddr) && d.of(drawKept).share() < f.keptClosed
}

// recent remembers the texts that were added last.
type recent struct {
	mu           sync.Mutex
	last, before map[string]bool
}

// maxRecent is how many texts are remembered for certain.
const maxRecent = 50_000

// add reports whether the text was added before.
func (r *recent) add(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last[text] || r.before[text] {
		return true
	}
	if r.last == nil || len(r.last) == maxRecent {
		r.last, r.before = map[string]bool{}, r.last
	}
	r.last[text] = true
	return false
}
