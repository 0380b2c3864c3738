package archive

import (
	"context"
	"iter"
	"time"
)

// A Setting says how one version of a function is invoked asynchronously. Raw also has
// the values that no other field holds, or that cannot be parsed.
type Setting struct {
	URN         string    // of the version
	MaxEventAge int       // how long an invocation waits at most, in seconds; -1 if unknown
	MaxRetries  int       // of a failed invocation; -1 if unknown
	OnSuccess   string    // kind of destination that is notified of a success; empty for none
	OnFailure   string    // kind of destination that is notified of a failure; empty for none
	StatusLog   *bool     // whether the source keeps records of invocations; nil if unknown
	Created     time.Time // zero if unknown
	Modified    time.Time // zero if unknown
	Raw         []byte    // the setting as the source sent it, JSON that a jsonb column accepts
}

// A SettingsPage is one answer about settings.
type SettingsPage struct {
	Settings []Setting
	Rejected []Rejected
	Count    int // the source's count of all, -1 where it gives none
}

// A SettingsSource is a source that tells how functions are invoked.
type SettingsSource interface {
	// Settings yields the current settings of all versions of the function. The
	// sequence ends at the first error. ErrDenied concerns this call alone.
	Settings(ctx context.Context, f Function) iter.Seq2[SettingsPage, error]
}

// FunctionSettings are the settings of all versions of one function.
type FunctionSettings struct {
	Settings []Setting // no version twice
	Rejected []Rejected
	Whole    bool // no version's setting is missing
}

// SettingsEvery is how often a function's settings are asked for.
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
	// A rejected setting may be any version's.
	s.Whole = len(s.Settings) >= counted && len(s.Rejected) == 0
	return s, nil
}
