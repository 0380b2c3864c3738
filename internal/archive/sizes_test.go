package archive

import (
	"path"
	"testing"
)

const (
	maxFileLines   = 400
	maxMainLines   = 2_600 // of cmd/archiver, without tests
	maxFolderFiles = 30    // without tests
)

// A newcomer reads a file in one go, and finds a file in its folder at a look.
func TestSizes(t *testing.T) {
	t.Parallel()
	files := make(map[string]int) // of a folder, without tests
	mainLines := 0
	for _, f := range readModule(t) {
		if f.lines > maxFileLines {
			t.Errorf("%s has %d lines, %d are allowed", f.path, f.lines, maxFileLines)
		}
		if folder := path.Dir(f.path); !f.isTest() {
			files[folder]++
			if folder == "cmd/archiver" {
				mainLines += f.lines
			}
		}
	}
	for folder, n := range files {
		if n > maxFolderFiles {
			t.Errorf("%s has %d files without tests, %d are allowed", folder, n, maxFolderFiles)
		}
	}
	if mainLines > maxMainLines {
		t.Errorf("cmd/archiver has %d lines without tests, %d are allowed", mainLines, maxMainLines)
	}
}
