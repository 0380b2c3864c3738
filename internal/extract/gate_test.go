package extract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
)

// A gateRun makes calls one after the other. Each takes 20 ms.
type gateRun struct {
	t     *testing.T
	clock *clocktest.Instant
	gate  *gate
}

func newGateRun(t *testing.T) *gateRun {
	clock := clocktest.NewInstant(paceStart)
	return &gateRun{t, clock, newGate(clock, 0, 0)}
}

// ready reports whether a call of the function could start now, without waiting.
func (r *gateRun) ready(function string) bool {
	now := r.clock.Now()
	lanes := []*lane{r.gate.all}
	if f := r.gate.functions[function]; f != nil && f.lane != nil {
		lanes = append(lanes, f.lane)
	}
	for _, l := range lanes {
		if delay, forAnswer := l.pace.delay(now); forAnswer || delay > 0 {
			return false
		}
	}
	return true
}

func (r *gateRun) call(function string, accepted bool) {
	r.t.Helper()
	p, err := r.gate.enterOwn(r.t.Context(), function, r.clock.Now())
	if err == nil {
		err = r.gate.enterShared(r.t.Context(), p)
	}
	if err == nil {
		err = r.clock.Sleep(r.t.Context(), 20*time.Millisecond)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	if accepted {
		r.gate.leave(p, nil, true)
		return
	}
	r.gate.leave(p, &StatusError{Status: http.StatusTooManyRequests}, true)
}

// A function that is throttled while the source accepts the calls of others has a pace of
// its own, and the others go on as without it.
func TestFunctionThrottledAlone(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]limitedSource{
		"always":     func(time.Time) bool { return false },
		"per second": slidingWindow(2, time.Second),
		"per minute": fixedWindows(10, time.Minute),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newGateRun(t)
			others, alone, refused := 0, 0, 0
			const duration = 20 * time.Minute
			for r.clock.Now().Sub(paceStart) < duration {
				if r.ready("alone") {
					alone++
					accepted := limit(r.clock.Now())
					if !accepted && r.clock.Now().Sub(paceStart) > time.Minute {
						refused++
					}
					r.call("alone", accepted)
				}
				r.call(fmt.Sprint("f", others%10), true)
				others++
			}
			if most := int(duration/(20*time.Millisecond)) - alone; others < most*9/10 {
				t.Errorf("%d calls of others, of %d", others, most)
			}
			t.Logf("%d calls of the function, %d refused", alone, refused)
			switch {
			case name == "always" && alone < int(duration/maxBlocked):
				t.Errorf("the function was asked for %d times", alone)
			case name == "per second" && alone-refused < 2*1200*7/10, name == "per minute" && alone-refused < 10*20*7/10:
				t.Errorf("the function made %d calls", alone-refused)
			case name != "always" && refused*20 > alone:
				t.Errorf("%d of %d calls refused", refused, alone)
			}
		})
	}
}

// A long pause that the source asks one function for delays no other. If another function
// is refused as well, all calls wait.
func TestRetryAfterOfOneFunction(t *testing.T) {
	t.Parallel()
	r := newGateRun(t)
	refuse := func(function string) {
		p, err := r.gate.enterOwn(t.Context(), function, r.clock.Now())
		if err == nil {
			err = r.gate.enterShared(t.Context(), p)
		}
		if err != nil {
			t.Fatal(err)
		}
		r.gate.leave(p, &StatusError{Status: http.StatusTooManyRequests, RetryAfter: time.Minute}, true)
	}
	r.call("one", true)
	refuse("one")
	r.call("another", true)
	if waited := r.clock.Now().Sub(paceStart); waited > 2*time.Second {
		t.Errorf("another function waited %v", waited)
	}
	refuse("one")
	refuse("another")
	r.call("third", true)
	if waited := r.clock.Now().Sub(paceStart); waited < time.Minute {
		t.Errorf("a third function waited %v", waited)
	}
}

// A limit that concerns all calls is not taken for one of the function that meets it.
func TestThrottledTogether(t *testing.T) {
	t.Parallel()
	r := newGateRun(t)
	limit := slidingWindow(20, time.Second)
	calls, refused := 0, 0
	for r.clock.Now().Sub(paceStart) < 10*time.Minute {
		accepted := limit(r.clock.Now())
		if calls++; !accepted {
			refused++
		}
		r.call(fmt.Sprint("f", calls%7), accepted)
	}
	if refused*20 > calls || calls-refused < 20*600*7/10 {
		t.Errorf("%d of %d calls refused", refused, calls)
	}
}

// A source that refuses two functions throttles these alone if it accepts many calls for
// others. If it refuses the only two that are asked for, its cheapest call shows nothing.
func TestTwoFunctionsThrottled(t *testing.T) {
	t.Parallel()
	for others, want := range map[int]bool{0: false, 25: true} {
		r := newGateRun(t)
		r.gate.probe = func(context.Context) error {
			r.call("", true)
			return nil
		}
		for range 3 {
			r.call("one", false)
			r.call("two", false)
			for n := range others {
				r.call(fmt.Sprint("f", n), true)
			}
		}
		_ = r.clock.Sleep(t.Context(), alonePatience)
		for _, function := range []string{"one", "two"} {
			p := &passage{function: function, since: paceStart}
			if _, err := r.gate.wait(r.clock.Now(), p, time.Second); !errors.Is(err, archive.ErrThrottled) {
				t.Errorf("%d others: %s waits, %v", others, function, err)
			}
			alone, err := r.gate.throttlesAlone(t.Context(), function)
			if alone != want || err != nil {
				t.Errorf("%d others: %s: %t, %v", others, function, alone, err)
			}
			if _, err := r.gate.wait(r.clock.Now(), p, time.Second); !want && err != nil {
				t.Errorf("%d others: %s does not wait: %v", others, function, err)
			}
		}
	}
}
