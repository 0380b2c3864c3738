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

// sizeExceptions are files and folders that are still too large.
var sizeExceptions = map[string]bool{
	"internal/loop/fake_store_test.go": true,
	"internal/loop/run_test.go":        true,
}

// A newcomer reads a file in one go, and finds a file in its folder at a look.
func TestSizes(t *testing.T) {
	t.Parallel()
	tooLarge := make(map[string]bool)
	files := make(map[string]int) // of a folder, without tests
	mainLines := 0
	for _, f := range readModule(t) {
		if f.lines > maxFileLines {
			tooLarge[f.path] = true
			if !sizeExceptions[f.path] {
				t.Errorf("%s has %d lines, %d are allowed", f.path, f.lines, maxFileLines)
			}
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
			tooLarge[folder] = true
			if !sizeExceptions[folder] {
				t.Errorf("%s has %d files without tests, %d are allowed", folder, n, maxFolderFiles)
			}
		}
	}
	if mainLines > maxMainLines {
		tooLarge["cmd/archiver"] = true
		if !sizeExceptions["cmd/archiver"] {
			t.Errorf("cmd/archiver has %d lines without tests, %d are allowed", mainLines, maxMainLines)
		}
	}
	for name := range sizeExceptions {
		if !tooLarge[name] {
			t.Errorf("delete the exception for %s: its size is within the limits", name)
		}
	}
}
