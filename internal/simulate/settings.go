package simulate

import (
	"net/http"
	"time"
)

// The bounds of pages of asynchronous settings (SDK model
// ListFunctionAsyncInvokeConfigRequest: 0 means the default, and larger values
// mean the maximum).
const (
	defaultConfigLimit = 10
	maxConfigLimit     = 100
)

// Setting is the current asynchronous setting of a function.
type Setting struct {
	Retries  int
	Log      bool // whether its records are listed
	Modified time.Time
}

// Setting returns a function's setting by the Options' clock.
func (s *Server) Setting(function int) Setting {
	return s.faults.setting(function, s.configured(), s.options.Now())
}

// The default and the maximum of max_async_retry_attempts (page: as of
// listConfigs).
const (
	retries    = 3
	maxRetries = 8
)

// setting is the configured setting with the changes that faults have made since.
func (f *faulter) setting(function int, configured, now time.Time) Setting {
	set := Setting{Retries: retries, Log: true, Modified: configured}
	if f.settingsChange > 0 && now.After(f.started) {
		changes := now.Sub(f.started) / f.settingsChange
		set.Retries = (retries + int(changes%(maxRetries+1))) % (maxRetries + 1)
		if changes > 0 {
			set.Modified = f.started.Add(changes * f.settingsChange)
		}
	}
	if off := f.started.Add(f.logOffAfter); f.off[function] && !now.Before(off) {
		set.Log = false
		if f.logOffAfter > 0 {
			set.Modified = later(set.Modified, off)
		}
	}
	return set
}

// unlogged reports whether a record is not listed because the status log was off
// at its start.
func (f *faulter) unlogged(i *item, function int) bool {
	return f.off[function] && (f.logOffAfter == 0 || !time.Unix(i.start, 0).Before(f.started.Add(f.logOffAfter)))
}

// listConfigs answers GET …/async-invoke-configs (page: Querying Asynchronous
// Execution Notification Settings of a Function's All Versions). Its two times
// have different formats, as in the page's sample; the time without a zone is UTC.
func (s *Server) listConfigs(w http.ResponseWriter, c call) error {
	versions := s.options.Faults.versions()
	from, to, err := slice(c, "limit", defaultConfigLimit, maxConfigLimit, len(versions))
	if err != nil {
		return err
	}
	set := s.Setting(c.function)
	configs := make([]map[string]any, 0, to-from)
	for _, version := range versions[from:to] {
		configs = append(configs, map[string]any{
			"func_urn":                       s.ofVersion(c.function, version),
			"max_async_event_age_in_seconds": 3600,
			"max_async_retry_attempts":       set.Retries,
			"destination_config": map[string]any{"on_failure": map[string]string{
				"destination": "SMN", "param": `{"topic_urn":` + quote("urn:smn:"+s.options.Region+":"+s.options.ProjectID+":failed") + `}`,
			}},
			"created_time":            s.configured().Format(time.RFC3339),
			"last_modified":           set.Modified.UTC().Format(time.DateTime),
			"enable_async_status_log": set.Log,
		})
	}
	return answerJSON(w, http.StatusOK, map[string]any{
		"async_invoke_configs": configs,
		"count":                len(versions),
		"page_info":            map[string]int{"next_marker": to, "previous_marker": 0, "current_count": to - from},
	})
}
