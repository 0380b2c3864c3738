package figures_test

import (
	"testing"

	"archiver/internal/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
