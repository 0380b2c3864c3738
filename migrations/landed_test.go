package migrations

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"testing"
)

// landed are the SHA-256 checksums of the migrations. Databases have applied them.
var landed = map[string]string{
	"00001_schema.sql":      "1217d04c28219db48c6bad73d9c8a3a33429a215c22e709473b72b8944e5c3f5",
	"00002_expired.sql":     "896d0cd88048d30e0e9266970ca767246ff33ce1f79832ab37dc4c36fd75b3ed",
	"00003_planneddays.sql": "fdbcd7cf8b9b25285639e39d6f4080b418da8ef115ea178e55ac40d4c2ac08fe",
	"00004_paths.sql":       "451337e1278787677955f2bf43fa872afb5557aa7cc40d668f0ef9d8df713d83",
	"00005_locks.sql":       "7b944dc527eb53a74015d308484c4629a5c8697171aab52b54a6398fb0662540",
	"00006_partitions.sql":  "010049dbbf127952897ca18adc6460b6daad60287964fb154ac604daa83c9382",
	"00007_sources.sql":     "174023e3e21c7e8e31c9b8cfa0b5c518e1988a7b8699b9e89523fe73ee516ac3",
}

// A migration that has landed is never edited: a database that has applied it would
// keep the old schema.
func TestLandedMigrationsAreNotEdited(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(steps, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(landed) {
		t.Errorf("there are %d migrations, and checksums of %d", len(files), len(landed))
	}
	for _, name := range files {
		text, err := fs.ReadFile(steps, name)
		if err != nil {
			t.Fatal(err)
		}
		sum := fmt.Sprintf("%x", sha256.Sum256(text))
		switch want, ok := landed[name]; {
		case !ok:
			t.Errorf("%s is new: add it to landed with the checksum %s", name, sum)
		case sum != want:
			t.Errorf("%s was edited. Undo the edit, and change the schema in a new file, with the next number", name)
		}
	}
}
