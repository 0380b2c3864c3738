package extract

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"

	"archiver/internal/archive"
	"archiver/internal/extract/answer"
)

// retries decides whether a call that failed is made again.
type retries struct {
	options Call
	budget  time.Duration
	backOff *backoff.ExponentialBackOff

	began   time.Time     // when the call was asked for
	took    time.Duration // by the last attempt, without the time that it waited for its start
	tried   int           // attempts that failed
	failing time.Duration // these attempts and the pauses after them
	lost    int           // attempts that found a kept connection closed
	denied  bool          // the source has answered 401
}

// maxLost is how many closed connections a call may find, one after the other.
const maxLost = 3

// next reports whether the call is made again after an error other than throttling, and
// after which pause. answered is whether the source has ever answered.
func (r *retries) next(err error, answered bool) (pause time.Duration, again bool) {
	if lost := (*lostConnectionError)(nil); errors.As(err, &lost) && r.lost < maxLost {
		r.lost++
		return 0, true
	}
	r.tried++
	most := maxTries
	if !answered {
		most = maxTriesNoAnswer
	}
	if r.options.Tries > 0 {
		most = min(most, r.options.Tries)
	}
	again = isRetryable(err) && r.tried < most
	if isUnauthorized(err) && !r.denied && !r.options.Login {
		r.denied, again = true, true // a stray one, which is no try
		r.tried--
	}
	pause = r.backOff.NextBackOff()
	if status := statusOfError(err); status != nil && status.RetryAfter > 0 {
		pause = max(pause, jittered(min(status.RetryAfter, DefaultRetryBudget/2)))
	}
	if r.options.Tries > 0 {
		pause = min(pause, firstPause)
	}
	r.failing += r.took + pause
	return pause, again && r.failing <= r.budget
}

// jittered makes a pause up to 50% longer, so that calls that failed together do not
// return together.
func jittered(pause time.Duration) time.Duration { return pause + rand.N(pause/2+1) }

func newBackOff() *backoff.ExponentialBackOff {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = firstPause, maxPause
	pauses.Multiplier, pauses.RandomizationFactor = 2, 0.5
	pauses.Reset()
	return pauses
}

func withTries(tries int, err error) error {
	if tries <= 1 {
		return err
	}
	return fmt.Errorf("tried %d times: %w", tries, err)
}

// statusOfError returns nil if the error is not a status.
func statusOfError(err error) (status *StatusError) {
	errors.As(err, &status)
	return status
}

func isUnauthorized(err error) bool {
	status := statusOfError(err)
	return status != nil && status.Status == http.StatusUnauthorized
}

// isRetryable reports whether a retry may help after an error that is not throttling. A
// status below 500, except 408, is about the request itself and does not change, and
// neither does an untrusted certificate or an answer that is too large. A signature that was seen before changes: each
// attempt signs its own request. All other errors may pass, also an answer that is cut or
// not readable.
func isRetryable(err error) bool {
	if status := statusOfError(err); status != nil {
		return status.Status == http.StatusRequestTimeout || status.Status >= 500 || status.isStaleSignature()
	}
	var certificate *tls.CertificateVerificationError
	var large *answer.TooLargeError
	return !errors.As(err, &certificate) && !errors.As(err, &large)
}

// MayConcernPage reports whether a call that failed may be answered with a smaller page.
func MayConcernPage(err error) bool {
	if errors.Is(err, archive.ErrDenied) || errors.Is(err, archive.ErrBusy) {
		return false
	}
	status := statusOfError(err)
	if status == nil {
		return true
	}
	switch status.Status {
	case http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge:
		return !status.Throttled()
	}
	return status.Status >= 500 && !status.Throttled()
}
