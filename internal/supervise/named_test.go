package supervise

import (
	"context"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/extract/functioncompute"
	"archiver/internal/extract/functiongraph"
	"archiver/internal/settings"
)

// A whole URN names a function by itself, if it belongs to the source and the other
// globs pick it too.
func TestNamedFunctions(t *testing.T) {
	t.Setenv("TOKEN", "t")
	const (
		a     = "urn:fss:cn-north-4:p:function:default:a:latest"
		b     = "urn:fss:cn-north-4:p:function:default:b"
		other = "urn:fss:eu-de:q:function:default:a:latest"
		task  = "acs:fc:cn-hangzhou:188:services/s/functions/f"
	)
	fa, fb, fo := archive.Function{URN: a, Name: "a"}, archive.Function{URN: b + ":latest", Name: "b"}, archive.Function{URN: other, Name: "a"}
	ft := archive.Function{URN: task, Name: "s/f"}
	for _, test := range []struct {
		name, source, provider string
		functions, only        []string
		want                   []archive.Function
	}{
		{name: "none"},
		{name: "globs", functions: []string{"a", "*:b", "!" + a, "urn:fss:?"}},
		{name: "by the settings", functions: []string{a, b, "c*"}, want: []archive.Function{fa, fb}},
		{name: "by the command", only: []string{a, a}, want: []archive.Function{fa}},
		{name: "another version", functions: []string{a, b + ":2"}, only: []string{b + ":2", b + ":3"}},
		{name: "with and without the version", functions: []string{b}, only: []string{b + ":latest"}, want: []archive.Function{fb}},
		{name: "of both, the command's", functions: []string{a, b}, only: []string{"b"}, want: []archive.Function{fb}},
		{name: "excluded", functions: []string{"!a"}, only: []string{a, b}, want: []archive.Function{fb}},
		{name: "as given, if there is one source", only: []string{other}, want: []archive.Function{fo}},
		{name: "of another source", source: "shop", only: []string{other, a}, want: []archive.Function{fa}},
		{name: "of another provider", only: []string{task}},
		{name: "a task", provider: functioncompute.Provider, only: []string{task, a}, want: []archive.Function{ft}},
		{name: "a task of another account", provider: functioncompute.Provider, source: "stock", only: []string{"acs:fc:cn-hangzhou:189:services/s/functions/f"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &Source{Log: slog.New(slog.DiscardHandler), Source: settings.Source{
				Name: test.source,
				SourceFlags: settings.SourceFlags{
					Provider: functiongraph.Provider, Region: "cn-north-4", ProjectID: "p", Functions: test.functions, Concurrency: 1,
				},
			}}
			s.AuthToken = extract.SecretFrom("TOKEN")
			if test.provider != "" {
				s.Provider, s.Region, s.AccountID, s.AccessKey, s.SecretKey = test.provider, "cn-hangzhou", "188", s.AuthToken, s.AuthToken
			}
			if err := s.open(context.Background()); err != nil {
				t.Fatal(err)
			}
			s.pick(test.only)
			if diff := cmp.Diff(test.want, s.Archiver.Named); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
