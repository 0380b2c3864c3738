package functiongraph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/extract/answer"
)

const versionURN = "urn:fss:cn-north-4:" + testProject + ":function:default:a:"

// settingPages returns all pages of the test function's settings.
func settingPages(ctx context.Context, s *Source) (pages []archive.SettingsPage, err error) {
	for page, err := range s.Settings(ctx, archive.Function{URN: testURN, Name: "a"}) {
		if err != nil {
			return pages, err
		}
		pages = append(pages, page)
	}
	return pages, nil
}

// The sample of the API's page. Its count and next_marker say that there are
// more settings, and the source ignores the marker.
func TestSettingsOfThePage(t *testing.T) {
	t.Parallel()
	const sample = `{
		"func_urn" : "` + testURN + `",
		"max_async_event_age_in_seconds" : 60,
		"max_async_retry_attempts" : 1,
		"destination_config" : {
			"on_success" : { "destination" : "FunctionGraph", "param" : "{\"func_urn\":\"urn:x\"}" },
			"on_failure" : { "destination" : "SMN", "param" : "{}" }
		},
		"created_time" : "2021-03-04T14:50:02+08:00",
		"last_modified" : "2021-03-04 14:50:02",
		"enable_async_status_log" : false
	}`
	s := open(t, answerWith(200, `{"async_invoke_configs":[`+sample+`],"count":2,
		"page_info":{"next_marker":2,"previous_marker":0,"current_count":2}}`))
	pages, err := settingPages(t.Context(), s)
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	got := pages[0].Settings[0]
	var raw, want any
	if json.Unmarshal(got.Raw, &raw) != nil || json.Unmarshal([]byte(sample), &want) != nil || !cmp.Equal(raw, want) {
		t.Errorf("raw: %s", got.Raw)
	}
	got.Raw = nil
	if diff := cmp.Diff(archive.Setting{
		URN: testURN, MaxEventAge: 60, MaxRetries: 1, OnSuccess: "FunctionGraph", OnFailure: "SMN", StatusLog: new(bool),
		Created:  time.Date(2021, 3, 4, 6, 50, 2, 0, time.UTC),
		Modified: time.Date(2021, 3, 4, 14, 50, 2, 0, time.UTC),
	}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if whole, err := archive.ReadSettings(t.Context(), s, archive.Function{URN: testURN}); err != nil || whole.Whole || len(whole.Settings) != 1 {
		t.Errorf("a list with one of two settings counts as whole: %+v, %v", whole, err)
	}
}

// All readable fields of a setting are read; an element without a valid URN is
// rejected.
func TestSettingShapes(t *testing.T) {
	t.Parallel()
	const u = `"func_urn":"u"`
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	for _, tc := range []struct {
		element, want string // want as shown below, or the reason
	}{
		{`{` + u + `}`, `-1 -1 "" "" log ? 0 0 {"func_urn":"u"}`},
		{`{` + u + `,"max_async_event_age_in_seconds":"3600","max_async_retry_attempts":"0","enable_async_status_log":"False"}`, `3600 0 "" "" log false 0 0 -`},
		{`{` + u + `,"max_async_event_age_in_seconds":1e3,"max_async_retry_attempts":-1,"enable_async_status_log":1}`, `-1 -1 "" "" log true 0 0 -`},
		{`{` + u + `,"max_async_event_age_in_seconds":99999999999,"max_async_retry_attempts":[8],"enable_async_status_log":null}`, `-1 -1 "" "" log ? 0 0 -`},
		{`{` + u + `,"max_async_event_age_in_seconds":2147483647,"max_async_retry_attempts":2147483648,"enable_async_status_log":" 0 "}`, `2147483647 -1 "" "" log false 0 0 -`},
		{`{` + u + `,"enable_async_status_log":true,"enable_async_status_log":false}`, `-1 -1 "" "" log false 0 0 -`},
		{`{` + u + `,"enable_async_status_log":{},"destination_config":null}`, `-1 -1 "" "" log ? 0 0 -`},
		{`{` + u + `,"destination_config":[1],"enable_async_status_log":"off"}`, `-1 -1 "" "" log ? 0 0 -`},
		{`{` + u + `,"destination_config":{"on_success":{"destination":""},"on_failure":"OBS"}}`, `-1 -1 "" "" log ? 0 0 -`},
		{`{` + u + `,"destination_config":{"on_failure":{"param":{},"destination":"a\u0000b"},"x":1}}`, `-1 -1 "" "a�b" log ? 0 0 {"func_urn":"u","destination_config":{"on_failure":{"param":{},"destination":"a�b"},"x":1}}`},
		{`{` + u + `,"created_time":"2021-03-04T14:50:02+08:00","last_modified":"2021-03-04 14:50:02"}`, `-1 -1 "" "" log ? 1614840602 1614869402 -`},
		{`{` + u + `,"created_time":"soon","last_modified":1614840602}`, `-1 -1 "" "" log ? 0 0 -`},
		{`{` + u + `,"created_time":"0001-01-01T00:00:00Z","last_modified":""}`, `-1 -1 "" "" log ? 0 0 -`},
		{`{` + u + `,"x":1e99999}`, `-1 -1 "" "" log ? 0 0 {"func_urn":"u","x":"1e99999"}`},
		{`{` + u + `,"x":` + deep + `}`, `-1 -1 "" "" log ? 0 0 "{\"func_urn\":\"u\",\"x\":` + deep + `}"`},
		{`{"func_urn":"\u00e4"}`, `-1 -1 "" "" log ? 0 0 -`},
		{`{}`, "func_urn is absent"},
		{`{"func_urn":null}`, "func_urn is not a string"},
		{`{"func_urn":""}`, "func_urn is empty"},
		{`{"func_urn":7}`, "func_urn is not a string"},
		{`{"func_urn":"a\u0000"}`, "func_urn contains characters that PostgreSQL cannot store"},
		{`{"func_urn":"a\ud800"}`, "func_urn contains characters that PostgreSQL cannot store"},
		{`{"func_urn":"` + strings.Repeat("u", maxURN+1) + `"}`, "func_urn is longer than 512 characters"},
		{`"u"`, "not an object"},
		{`null`, "not an object"},
		{`[` + u[:10] + `]`, "not an object"},
	} {
		list, err := decodeSettings(strings.NewReader(`{"async_invoke_configs":[` + tc.element + `,{"func_urn":"next"}]}`))
		if err != nil || len(list.settings)+len(list.rejected) != 2 {
			t.Errorf("%s: %+v, %v", tc.element, list, err)
			continue
		}
		if len(list.rejected) == 1 {
			if got := list.rejected[0]; got.Reason != tc.want || string(got.Payload) != tc.element {
				t.Errorf("%s: rejected %q: %s", tc.element, got.Reason, got.Payload)
			}
			continue
		}
		s, log := list.settings[0], "?"
		if s.StatusLog != nil {
			log = strconv.FormatBool(*s.StatusLog)
		}
		raw := string(s.Raw)
		if strings.HasSuffix(tc.want, " -") {
			raw = "-"
		}
		unix := func(at time.Time) int64 { return max(at.Unix(), 0) }
		got := fmt.Sprintf("%d %d %q %q log %s %d %d %s", s.MaxEventAge, s.MaxRetries, s.OnSuccess, s.OnFailure, log, unix(s.Created), unix(s.Modified), raw)
		if got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.element, got, tc.want)
		}
	}
}

// A settingsAPI serves pages of n settings, in one of the forms that the API's page
// permits.
type settingsAPI struct {
	n, most      int
	info         string // a format of next_marker and the page's length
	count        bool
	ignoresLimit bool // ignores limit

	mu    sync.Mutex
	asked []string
}

func (c *settingsAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	c.mu.Lock()
	c.asked = append(c.asked, r.URL.Path+"?"+q.Get("marker")+","+q.Get("limit"))
	c.mu.Unlock()
	from, _ := strconv.Atoi(q.Get("marker"))
	limit, _ := strconv.Atoi(q.Get("limit"))
	if c.ignoresLimit {
		limit = 10
	}
	from = min(from, c.n)
	to := min(from+min(limit, c.most), c.n)
	var list []string
	for i := from; i < to; i++ {
		list = append(list, fmt.Sprintf(`{"func_urn":"%s%d"}`, versionURN, i))
	}
	answer := `{"async_invoke_configs":[` + strings.Join(list, ",") + `]`
	if c.count {
		answer += fmt.Sprintf(`,"count":%d`, c.n)
	}
	if c.info != "" {
		answer += `,"page_info":` + fmt.Sprintf(c.info, to, to-from)
	}
	fmt.Fprint(w, answer+"}")
}

// Each setting comes once, for each form of paging.
func TestSettingsPages(t *testing.T) {
	t.Parallel()
	const info = `{"next_marker":%d,"previous_marker":0,"current_count":%d}`
	for name, c := range map[string]*settingsAPI{
		"none":                      {n: 0, most: 100, count: true, info: info},
		"one page":                  {n: 7, most: 100, count: true, info: info},
		"several":                   {n: 250, most: 100, count: true, info: info},
		"several full":              {n: 200, most: 100, count: true, info: info},
		"fewer than asked for":      {n: 33, most: 7, count: true, info: info},
		"no count":                  {n: 250, most: 100, info: info},
		"the default page":          {n: 30, most: 100, ignoresLimit: true, info: info},
		"the default page, no info": {n: 37, most: 100, ignoresLimit: true},
		"a marker that is a string": {n: 33, most: 7, info: `{"next_marker":"%d","current_count":%d}`},
		"only count":                {n: 33, most: 7, count: true},
		"strange info":              {n: 33, most: 7, count: true, info: `["%d",%d]`},
		"info of something else":    {n: 33, most: 7, count: true, info: `{"x":[%d,%d]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := archive.ReadSettings(t.Context(), open(t, c), archive.Function{URN: testURN})
			if err != nil || !s.Whole || len(s.Rejected) > 0 {
				t.Fatalf("%+v, %v", s, err)
			}
			var got, want []string
			for _, setting := range s.Settings {
				got = append(got, setting.URN)
			}
			for i := range c.n {
				want = append(want, versionURN+strconv.Itoa(i))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d settings of %d: %v", len(got), c.n, got)
			}
			if first := "/v2/" + testProject + "/fgs/functions/" + testURN + "/async-invoke-configs?0,100"; c.asked[0] != first {
				t.Errorf("asked for %s", c.asked[0])
			}
		})
	}
}

// A URN without a version means the latest version.
func TestSettingsOfTheLatest(t *testing.T) {
	t.Parallel()
	bare := strings.TrimSuffix(testURN, ":"+latestVersion)
	s := open(t, answerWith(200, `{"async_invoke_configs":[{"func_urn":"`+bare+`"},{"func_urn":"`+versionURN+`v1"}],"count":2}`))
	for _, listed := range []string{testURN, bare} {
		got, err := archive.ReadSettings(t.Context(), s, archive.Function{URN: listed})
		if err != nil || len(got.Settings) != 2 || got.Settings[0].URN != listed || got.Settings[1].URN != versionURN+"v1" {
			t.Errorf("%s: %+v, %v", listed, got, err)
		}
	}
}

func TestSettingsErrors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		body   string
		denied bool
		says   string // part of the error; empty means no error
	}{
		"denied":           {403, `{"error_code":"FSS.0403","error_msg":"no"}`, true, "to read asynchronous invocation settings"},
		"unknown function": {404, `{"error_code":"FSS.0404","error_msg":"can not find function"}`, false, ""},
		"unknown path":     {404, `{"error_code":"APIG.0101","error_msg":"no such API"}`, false, "APIG.0101"},
		"failing":          {500, `{"error_code":"FSS.0500","error_msg":"internal"}`, false, "FSS.0500"},
		"not JSON":         {200, `<html>`, false, "not JSON"},
		"another list":     {200, `{"functions":[]}`, false, "no async_invoke_configs"},
		"empty":            {200, `{"async_invoke_configs":null}`, false, ""},
		"cut":              {200, `{"async_invoke_configs":[{"func_urn":`, false, "cut"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pages, err := settingPages(t.Context(), open(t, answerWith(tc.status, tc.body)))
			switch {
			case tc.says == "":
				if err != nil || len(pages) > 1 || len(pages) == 1 && len(pages[0].Settings) > 0 {
					t.Errorf("%+v, %v", pages, err)
				}
				return
			case err == nil || !strings.Contains(err.Error(), tc.says) || errors.Is(err, archive.ErrDenied) != tc.denied:
				t.Errorf("%v", err)
				return
			}
			checkErrorText(t, err)
		})
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(archive.ErrInterrupted)
	if _, err := settingPages(ctx, open(t, answerWith(200, `{}`))); !errors.Is(err, archive.ErrInterrupted) {
		t.Errorf("interrupted: %v", err)
	}
}

// A page of settings is bounded: a few are never as large.
func TestSettingsSize(t *testing.T) {
	t.Parallel()
	setting := `{"func_urn":"urn","description":"` + strings.Repeat("x", 1<<20) + `"}`
	var large *answer.TooLargeError
	if _, err := decodeSettings(strings.NewReader(`{"async_invoke_configs":[` + strings.Repeat(setting+",", 9) + setting + `]}`)); !errors.As(err, &large) {
		t.Errorf("ten megabytes: %v", err)
	}
	if l, err := decodeSettings(strings.NewReader(`{"async_invoke_configs":[` + setting + `]}`)); err != nil || len(l.settings) != 1 {
		t.Errorf("a megabyte: %d settings, %v", len(l.settings), err)
	}
}
