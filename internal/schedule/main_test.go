package schedule_test

import (
	"testing"

	"go.uber.org/goleak"
)

// A schedule leaves no goroutine behind, however it ends.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
