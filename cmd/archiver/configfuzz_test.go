package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"archiver/internal/settings"
)

// Any file is either taken, or refused with mistakes that have places. No mistake
// repeats a secret.
func FuzzConfigFile(f *testing.F) {
	f.Add(wrongFile)
	f.Add("name: [a]\nprovider: [b]\nsettle: []\nsources: [{name: [a]}, {name: a, provider: {}}, {name: a, auth-token-file: []}]\n")
	f.Add("sources:\n  - {name: a, auth-token-file: f.yaml, auth-token-env: HOME}\n  - {name: b, password-file: /, functions: ['a/*', '?/[b]', '!']}\n")
	f.Add("database-url-env: [a]\ndatabase-url-file:\nproject-id: 0x10\nregion: \"\\e[31m\"\n")
	f.Add("endpoint: ':'\niam-endpoint: http://[::1\nusername: a\npassword-env: HOME\ndomain: b\nlisten: ''\n")
	const secrets = "access-key: very-secret\npassword: very-secret\ndatabase-url: very-secret\nsources: [{secret-key: very-secret, security-token: [very-secret]}]\n"
	f.Add(secrets)
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "f.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		parsed, in, err := parse([]string{"once", "--config", path}, streams{out: io.Discard, err: io.Discard})
		if err == nil {
			if parsed == nil || len(in.Sources) == 0 {
				t.Error("neither sources nor a mistake")
			}
			return
		}
		var usage *settings.UsageError
		if !errors.As(err, &usage) {
			t.Errorf("%v is no mistake in the configuration", err)
		}
		if text == secrets && strings.Contains(err.Error(), "very-secret") {
			t.Errorf("a secret is repeated: %v", err)
		}
	})
}
