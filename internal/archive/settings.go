package archive

import (
	"context"
	"iter"
	"time"
)

// A Setting says how one version of a function is invoked asynchronously. What
// the source does not say, or says in a way that cannot be read, is in Raw
// alone.
type Setting struct {
	URN         string    // of the version
	MaxEventAge int       // how long an invocation waits at most, in seconds; -1 where it is not said
	MaxRetries  int       // of one that failed; -1 where it is not said
	OnSuccess   string    // kind of destination that is told of a success; empty for none
	OnFailure   string    // the same of a failure
	StatusLog   *bool     // whether the source keeps records of invocations; nil where it is not said
	Created     time.Time // zero where it is not said
	Modified    time.Time // zero where it is not said
	Raw         []byte    // as the source says it, JSON that a column of jsonb takes
}

// A SettingsPage is one answer about settings.
type SettingsPage struct {
	Settings []Setting
	Rejected []Rejected
	Count    int // the source's count of all, -1 where it gives none
}

// A SettingsSource is a source that tells how functions are invoked.
type SettingsSource interface {
	// Settings are those of all versions of the function by now. The sequence
	// ends at the first error; one that matches ErrDenied concerns this
	// question alone.
	Settings(ctx context.Context, f Function) iter.Seq2[SettingsPage, error]
}

// FunctionSettings are what a source says of all versions of one function.
type FunctionSettings struct {
	Settings []Setting // no version twice
	Rejected []Rejected
	Whole    bool // there is no other
}

// SettingsEvery is how long a function's settings are not asked for again.
const SettingsEvery = 24 * time.Hour

// ReadSettings asks for all settings of a function.
func ReadSettings(ctx context.Context, source SettingsSource, f Function) (FunctionSettings, error) {
	var s FunctionSettings
	at := make(map[string]int)
	counted := -1
	for page, err := range source.Settings(ctx, f) {
		if err != nil {
			return FunctionSettings{}, err
		}
		counted = max(counted, page.Count)
		s.Rejected = append(s.Rejected, page.Rejected...)
		for _, setting := range page.Settings {
			i, again := at[setting.URN]
			switch {
			case !again:
				at[setting.URN] = len(s.Settings)
				s.Settings = append(s.Settings, setting)
			case !setting.Modified.Before(s.Settings[i].Modified):
				s.Settings[i] = setting
			}
		}
	}
	// What was rejected may be of any version.
	s.Whole = len(s.Settings) >= counted && len(s.Rejected) == 0
	return s, nil
}
