package extract_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"archiver/internal/extract"
)

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The variable wins over its file. Without both there is no secret.
func TestSecretFrom(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	put(t, file, "  of the file\n")
	t.Setenv("TEST_BOTH", "of the variable")
	t.Setenv("TEST_BOTH_FILE", file)
	t.Setenv("TEST_FILED_FILE", file)
	t.Setenv("TEST_MISSING_FILE", file+".not")
	for _, c := range []struct {
		variable, want, name string
		given, fails         bool
	}{
		{"TEST_BOTH", "of the variable", "TEST_BOTH", true, false},
		{"TEST_FILED", "of the file", "TEST_FILED_FILE", true, false},
		{"TEST_MISSING", "", "TEST_MISSING_FILE", true, true},
		{"TEST_NONE", "", "TEST_NONE", false, false},
	} {
		s := extract.SecretFrom(c.variable)
		got, err := s.Read()
		if got != c.want || s.Given() != c.given || s.Name() != c.name || (err != nil) != c.fails {
			t.Errorf("%s: %q, %t, %s, %v", c.variable, got, s.Given(), s.Name(), err)
		}
		if c.fails && !strings.Contains(err.Error(), c.name) {
			t.Errorf("%s: the error does not name the variable: %v", c.variable, err)
		}
	}
}

// Read returns the file's current content, also when a symbolic link is swapped,
// as Kubernetes does in mounted secrets. An empty file is an error.
func TestSecretChanges(t *testing.T) {
	dir := t.TempDir()
	for _, version := range []string{"one", "two"} {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, version, "key"), version)
	}
	swap := func(to string) {
		t.Helper()
		next := filepath.Join(dir, "next")
		if err := os.Symlink(to, next); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	swap("one")
	if err := os.Symlink("..data/key", filepath.Join(dir, "key")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEST_KEY_FILE", filepath.Join(dir, "key"))
	s := extract.SecretFrom("TEST_KEY")
	for _, version := range []string{"one", "two"} {
		swap(version)
		if got, err := s.Read(); got != version || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	put(t, filepath.Join(dir, "two", "key"), " \n")
	if got, err := s.Read(); got != "" || err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("an empty file: %q, %v", got, err)
	}
}

func TestSecretWord(t *testing.T) {
	t.Parallel()
	for value, ok := range map[string]bool{"abc/+=~": true, "a b": false, "a\nb": false, "a\x00": false, "schlüssel": false} {
		got, err := extract.FixedSecret("THE_KEY", value).ReadWord()
		if (err == nil) != ok || ok && got != value {
			t.Errorf("%q: %q, %v", value, got, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "THE_KEY") || strings.Contains(err.Error(), value)) {
			t.Errorf("%q: %v", value, err)
		}
	}
}

// Printing a Secret in any way does not print its value.
func TestSecretIsNotPrinted(t *testing.T) {
	t.Parallel()
	s := extract.FixedSecret("THE_KEY", "hunter2")
	options := struct {
		Key extract.Secret
		key extract.Secret
		ptr *extract.Secret
	}{s, s, &s}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+"\n", s, &s, options)
	}
	for _, h := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(h).Info("a line", "secret", s, "pointer", &s, "options", options)
	}
	if err := json.NewEncoder(&out).Encode(options); err != nil {
		t.Fatal(err)
	}
	for _, never := range []string{"hunter2", fmt.Sprintf("%x", "hunter2")} {
		if strings.Contains(out.String(), never) {
			t.Errorf("shown:\n%s", out.String())
		}
	}
	if !strings.Contains(out.String(), "THE_KEY") {
		t.Errorf("not even the name is shown:\n%s", out.String())
	}
}
