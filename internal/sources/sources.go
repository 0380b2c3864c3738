// Package sources opens the source that settings describe, with the package of
// its provider.
package sources

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/extract/functioncompute"
	"archiver/internal/extract/functiongraph"
	"archiver/internal/schedule"
	"archiver/internal/settings"
)

// A provider is a cloud service that can be read.
type provider struct {
	// open prepares the source. All calls of the source go through the caller.
	open func(context.Context, *settings.Source, *extract.Caller, *slog.Logger) (archive.Source, error)

	// account returns what the host name of an endpoint says of the account and its region.
	account func(endpoint string) (account, region string)

	// check returns what is wrong with the settings, without a call.
	check func(*settings.Source) error

	// retention is how long the provider keeps records, as its pages say.
	retention time.Duration

	// statuses are the provider's own words for a status.
	statuses []string
}

// providers are all providers, by the value of --provider. docs/sources.md says
// how to add one.
var providers = map[string]provider{
	functiongraph.Provider: {
		open: openFunctionGraph, check: checkFunctionGraph, retention: functiongraph.Traits.Retention,
		account: func(endpoint string) (string, string) { return "", functiongraph.RegionOf(endpoint) },
	},
	functioncompute.Provider: {
		open: openFunctionCompute, check: checkFunctionCompute, account: functioncompute.AccountOf,
		retention: functioncompute.Traits.Retention, statuses: functioncompute.Statuses,
	},
}

// Providers returns the names of the providers, separated by commas.
func Providers() string { return strings.Join(slices.Sorted(maps.Keys(providers)), ",") }

// Retention returns how long a provider keeps records, as its pages say.
func Retention(provider string) time.Duration { return providers[provider].retention }

// Retentions tells the Retention of each provider, for help texts.
func Retentions() string {
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(providers)) {
		texts = append(texts, fmt.Sprintf("%dd for %s", Retention(name)/(24*time.Hour), name))
	}
	return strings.Join(texts, ", ")
}

// Check returns what is wrong with the settings of a source, without asking the
// source.
func Check(s *settings.Source) error {
	at, err := located(s)
	if wrong := providers[s.Provider].check(at); wrong != nil {
		return wrong
	}
	return err
}

// located returns the settings with the account and the region that the endpoint's host name
// says. Reached by its endpoint or by its region, an account is one source of the archive: so
// an endpoint that says neither needs both.
func located(s *settings.Source) (*settings.Source, error) {
	at := *s
	if s.Endpoint == "" {
		return &at, nil
	}
	account, region := providers[s.Provider].account(s.Endpoint)
	at.Region, at.AccountID = cmp.Or(s.Region, region), cmp.Or(s.AccountID, account)
	switch {
	case at.Region == "":
		return &at, settings.Usagef("ARCHIVER_ENDPOINT does not say which region it is of: set ARCHIVER_REGION (--region) as well")
	case region != "" && at.Region != region:
		return &at, settings.Usagef("ARCHIVER_REGION is %s, and ARCHIVER_ENDPOINT is of %s: remove one of them", at.Region, region)
	case account != "" && at.AccountID != account:
		return &at, settings.Usagef("ALIBABA_CLOUD_ACCOUNT_ID is %s, and ARCHIVER_ENDPOINT is of %s: remove one of them", at.AccountID, account)
	case s.Provider == functioncompute.Provider && at.AccountID == "":
		return &at, settings.Usagef("ARCHIVER_ENDPOINT does not say which account it is of: set ALIBABA_CLOUD_ACCOUNT_ID as well")
	}
	return &at, nil
}

// Name returns the name of a source for people: that of the configuration file, or else its
// provider, region, and project or account as far as the settings name them.
func Name(s *settings.Source) string {
	if s.Name != "" {
		return s.Name
	}
	id := Configured(s)
	return strings.Join(slices.DeleteFunc([]string{id.Provider, id.Region, cmp.Or(id.ProjectID, s.Project)}, func(part string) bool { return part == "" }), "/")
}

// Configured returns what the settings say of the source's id. The project may be empty:
// only a source that is open knows it then.
func Configured(s *settings.Source) archive.SourceID {
	s, _ = located(s) // Open reports the error
	return archive.SourceID{Provider: s.Provider, Region: s.Region, ProjectID: cmp.Or(s.ProjectID, s.AccountID)}
}

// Open prepares a source. observe, if not nil, is told the outcome and the duration
// of each call. A mistake in the settings is a settings.UsageError.
func Open(ctx context.Context, s *settings.Source, observe func(outcome string, took time.Duration), log *slog.Logger) (archive.Source, error) {
	at, err := located(s)
	if err != nil {
		return nil, mistake(Check(s))
	}
	patience, end := patience(s)
	caller := extract.NewCaller(extract.Options{
		Concurrency: s.Concurrency, Rate: s.Rate, Timeout: s.RequestTimeout, Patience: patience, PatienceEnd: end,
		Clock: archive.SystemClock{}, Log: log, Observe: observe,
	})
	source, err := providers[s.Provider].open(ctx, at, caller, log)
	if err != nil {
		return nil, mistake(err) // the source is a nil pointer, and no nil interface
	}
	return source, nil
}

// mistake returns the error of an option as a mistake in the settings.
func mistake(err error) error {
	if errors.Is(err, extract.ErrOptions) {
		return settings.Usage(err)
	}
	return err
}

// beforeTick is how long before a tick a pass of run ends if the source or the database
// accepts nothing: a tick that finds the last pass busy is skipped.
const beforeTick = 5 * time.Second

// patience returns how long the source may accept no call: SourcePatience, or for run at
// most the time between two ticks. For run, end says when such a time ends: before the
// next tick.
func patience(s *settings.Source) (longest time.Duration, end func(since time.Time) time.Time) {
	ticks, err := schedule.Parse(s.Schedule)
	if s.Schedule == "" || err != nil {
		return s.SourcePatience, nil
	}
	return schedule.Shortest(ticks, archive.SystemClock{}.Now().UTC()), BeforeTick(s.Schedule)
}

// BeforeTick returns the end of a pass of run that waits since a time: before the next
// tick. It is nil without a schedule.
func BeforeTick(of string) (end func(since time.Time) time.Time) {
	ticks, err := schedule.Parse(of)
	if of == "" || err != nil {
		return nil
	}
	return func(since time.Time) time.Time { return ticks.Next(since.UTC().Add(beforeTick)).Add(-beforeTick) }
}

// Statuses returns words of --status as the provider writes them, sorted.
func Statuses(providerName string, words []string) ([]string, error) {
	known := slices.Concat(functiongraph.Statuses, providers[providerName].statuses)
	var statuses []string
	for _, word := range words {
		i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, strings.TrimSpace(word)) })
		if i < 0 {
			return nil, settings.Usagef("--status %q is not one of %s", word, strings.Join(known, ", "))
		}
		statuses = append(statuses, known[i])
	}
	slices.Sort(statuses)
	return slices.Compact(statuses), nil
}
