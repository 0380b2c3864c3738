package conformance_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"archiver/internal/archive"
	"archiver/internal/conformance"
	"archiver/internal/extract"
	"archiver/internal/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// defectEnv names the defect of the source, or the mistake in the Suite, that this
// process has.
const defectEnv = "CONFORMANCE_TEST_DEFECT"

// A seen defect has the part of the suite that has to find it, and a text of that
// part's failure.
type seen struct{ defect, part, says string }

// defects are errors that a source may have.
var defects = []seen{
	{"the name is another's", "identity", "Provider:other"},
	{"the identity changes", "identity", "Provider:test Region:"},
	{"it calls when it is opened", "identity", "1 calls before anything was asked"},
	{"functions have one page", "functions", "is missing"},
	{"functions come twice", "functions", "2 functions, want 1"},
	{"functions have no names", "functions", "f0 is missing"},
	{"times are local", "records", "want {ID:r-0"},
	{"the message is dropped", "records", "want {ID:r-3"},
	{"all have an end", "records", "want {ID:r-1"},
	{"a short page ends the list", "paging", "is missing"},
	{"pages share their memory", "paging", "is missing"},
	{"the count is the page's", "paging", "page 0 counts 4 of 5 records"},
	{"a page follows the last one", "paging", "page 2 follows the last one"},
	{"the end is asked for again", "paging", "3 calls for 0 records"},
	{"the limit is not kept to", "paging/limit", "4 records of one asked for"},
	{"the range is another", "paging/question", "asked for {"},
	{"the id is not asked for", "paging/question", "want 1:"},
	{"the list never ends", "endless", "no end after"},
	{"an endless list is all", "endless", "as if that were all"},
	{"a page is forgotten", "cursors", "is missing"},
	{"the cursor is that of the page", "cursors", "some come again"},
	{"cursors are known to one process", "cursors", "some come again"},
	{"offsets begin at one", "cursors", "of 14 records from record 0 on"},
	{"pages are ahead that may not be", "ahead", "pages are ahead, of 3 that were let"},
	{"pages ahead are asked for again", "ahead", "one after the other"},
	{"a page ahead is lost", "ahead", "is missing"},
	{"calls ahead are left", "cancelling/by who reads", "calls are left under way"},
	{"the context is not heeded", "cancelling/before the answer", "pages, then"},
	{"the context is not heeded", "cancelling/in the body", "pages, then"},
	{"the cause is not told", "cancelling/before a pause", "context canceled"},
	{"the cause is not told", "cancelling/before the call", "context canceled"},
	{"a goroutine is left", "cancelling", "found unexpected goroutines"},
	{"an error is an end", "faults/500, for good", "ended without an error"},
	{"nothing is tried again", "faults/reset, once", "by 2 calls: EOF"},
	{"any answer is a page", "faults/cut short, once", "2 pages by 2 calls"},
	{"any answer is a page", "faults/another's JSON, once", "2 pages by 2 calls"},
	{"trouble is gone", "faults/500, for good", "function is gone"},
	{"tried for ever", "faults/500, for good", "calls"},
	{"errors have lines", "faults/500, for good", `the error shows "\n"`},
	{"unusable is dropped", "unusable", "is not kept with a reason"},
	{"unusable has no reason", "unusable", "is not kept with a reason"},
	{"unusable is not kept as it came", "unusable", "is not kept with a reason"},
	{"calls are one at a time", "limits/concurrency", "1 calls at once"},
	{"calls wait for nobody", "limits/concurrency", "calls at once"},
	{"calls wait for nobody", "limits/rate", "calls at 4 a second took 0s"},
	{"429 is tried again at once", "limits/429", "calls and 0s"},
	{"429 is tried again at once", "limits/429 with Retry-After", "calls and 0s"},
	{"refusals are forgotten at once", "limits/throttled", "where 60 are allowed"},
	{"a refusal is never forgotten", "limits/throttled", "while throttled"},
	{"refused is an error like others", "denied", "invocations, 403"},
	{"the refusal is shown", "denied", "the error shows"},
	{"it signs in the URL", "denied", "the error shows"},
	{"it signs in the body", "denied", "the error shows"},
	{"tried for ever", "denied", "calls for what two had to be told"},
	{"any 404 is gone", "gone", "NoPath"},
	{"gone is an error like others", "gone", "after 1 calls"},
	{"functions are gone", "gone", "functions: function is gone"},
	{"tried for ever", "gone", "after 11 calls"},
	{"the caller is passed by", "stats", "Refused:2 "},
	{"refusals are not counted", "stats", "Refused:0 "},
	{"only answers are counted", "stats", "Refused:2 "},
	{"an envelope is ignored", "envelopes/error_code, list true", "once: 3 pages by 3 calls"},
	{"an envelope is ignored", "envelopes/Code, list true", "for good: <nil>"},
	{"any code is an error", "envelopes/success", "answered 200"},
	{"the epoch is a time", "sentinels", "from 1970-01-01"},
	{"a list of functions is whole", "whole", "functions of a list that is not whole, then <nil>"},
	{"an error hides functions", "whole", "30 functions of a list that is not whole, then"},
	{"lists have one page", "versions/paging", "is missing"},
	{"the latest is listed as well", "versions/paging", "1 versions, want 0: test:f0 f0 is unexpected"},
	{"versions come twice", "versions/paging", "2 versions, want 1"},
	{"an error is an end", "versions/faults/500, for good", "versions: <nil>"},
	{"nothing is tried again", "versions/faults/reset, once", "versions: EOF"},
	{"any answer is a page", "versions/faults/cut short, once", "is missing"},
	{"trouble is gone", "versions/faults/500, for good", "function is gone"},
	{"tried for ever", "versions/faults/500, for good", "calls"},
	{"the context is not heeded", "cancelling/versions before the answer", "versions: "},
	{"the cause is not told", "cancelling/versions before a pause", "context canceled"},
	{"refused is an error like others", "versions/denied", "versions, 403"},
	{"it signs in the body", "versions/denied", "the error shows"},
	{"gone is an error like others", "versions/gone", "versions of none"},
	{"any 404 is gone", "versions/gone", "NoPath"},
	{"no list is an error like others", "versions/gone", "versions that are no list"},
	{"unusable is dropped", "versions/unusable", "the error is <nil>"},
	{"unusable ends a list", "versions/unusable", "is missing"},
	{"aliases have no shares", "aliases/paging", "is missing"},
	{"an error is an end", "aliases/faults/500, for good", "aliases: <nil>"},
	{"nothing is tried again", "aliases/faults/reset, once", "aliases: EOF"},
	{"the context is not heeded", "cancelling/aliases in the body", "aliases: "},
	{"refused is an error like others", "aliases/denied", "aliases, 403"},
	{"gone is an error like others", "aliases/gone", "aliases of none"},
	{"no list is an error like others", "aliases/gone", "aliases that are no list"},
	{"unusable ends a list", "aliases/unusable", "is missing"},
	{"lists have one page", "settings/paging", "is missing"},
	{"the count is the page's", "settings/paging", "a page counts 20 of 250 settings"},
	{"settings have nothing raw", "settings/paging", "without Raw is unexpected"},
	{"an error is an end", "settings/faults/500, for good", "settings: <nil>"},
	{"nothing is tried again", "settings/faults/reset, once", "settings: EOF"},
	{"the context is not heeded", "cancelling/settings in the body", "settings: "},
	{"the cause is not told", "cancelling/settings before the answer", "context canceled"},
	{"refused is an error like others", "settings/denied", "settings, 403"},
	{"it signs in the URL", "settings/denied", "the error shows"},
	{"gone is an error like others", "settings/gone", "settings of none"},
	{"any 404 is gone", "settings/gone", "NoPath"},
	{"unusable is dropped", "settings/unusable", "is not kept with a reason"},
	{"only the first page is kept", "loop/drift", "no page was asked for where another ended"},
	{"the first second is left out", "loop/borders", "is missing"},
	{"the last second is left out", "loop/borders", "is missing"},
}

// mistakes are errors in a Suite, with which a part would check nothing.
var mistakes = []seen{
	{"no provider", "", "the Suite lacks Provider"},
	{"pages of one", "", "the Suite lacks PageSize"},
	{"no page of functions", "", "the Suite lacks FunctionPage"},
	{"no function", "", "the Suite lacks Function,"},
	{"nothing to open", "", "the Suite lacks Open"},
	{"no ways", "", "the Suite lacks Ways"},
	{"a way without a handler", "", "the Suite lacks the name or the handler"},
	{"nothing is denied", "", "the Suite lacks Denied"},
	{"nothing is gone", "", "the Suite lacks Gone"},
	{"nothing is elsewhere", "", "the Suite lacks Elsewhere"},
	{"a refusal repeats nothing", "", "the Suite lacks a status"},
	{"no secrets", "", "the Suite lacks Secrets"},
	{"nothing is unusable", "", "the Suite lacks Unusable"},
	{"no codes", "", "the Suite lacks one of Codes"},
	{"no sentinels", "", "the Suite lacks Sentinels"},
	{"no version", "", "the Suite lacks Version and Alias"},
	{"no page of versions", "", "the Suite lacks Page of its Versions"},
	{"no version is unusable", "", "the Suite lacks Unusable and"},
	{"there are always versions", "", "the Suite lacks None"},
	{"no setting", "", "the Suite lacks Setting of"},
	{"no page of settings", "", "the Suite lacks Page of its Settings"},
	{"no setting is unusable", "", "the Suite lacks Unusable of its Settings"},
	{"versions are not told of", "versions", "the Suite lacks what they are"},
	{"versions are not told of", "aliases", "the Suite lacks what they are"},
	{"settings are not told of", "settings", "the Suite lacks what they are"},
	{"the source has no such lists", "versions", "the source does not list them"},
	{"the source has no such lists", "settings", "the source does not list them"},
	{"all settings are in one page", "settings/paging", "250 settings by 1 calls"},
	{"the secrets are another's", "denied", "none of the Secrets is in the call"},
	{"all functions are in one page", "functions", "31 functions by 1 calls"},
	{"the handler makes the pages", "loop/drift", "0 of 2 records came or went: no"},
	{"the handler makes the pages", "cancelling/by who reads", "where the first began"},
}

// suite describes the source of this test, with a defect or a mistake, or with none.
func suite(wrong string) conformance.Suite {
	m := mistaken{wrong}
	s := conformance.Suite{
		Provider: "test", PageSize: pageSize, FunctionPage: functionsPage,
		Function: func(n int) archive.Function {
			return archive.Function{URN: fmt.Sprintf("test:f%d", n), Name: fmt.Sprintf("f%d", n)}
		},
		Open: func(t *testing.T, url string, caller *extract.Caller) archive.Source {
			t.Helper()
			s := &source{url: url, caller: caller, defective: defective{wrong}}
			if s.has("it calls when it is opened") {
				_, _ = s.get(t.Context(), "/functions", question{})
			}
			if m.makes("the source has no such lists") {
				return s
			}
			return &versioned{s}
		},
		Ways: []conformance.Way{
			{Name: "counted", Handler: cloud{true, m}.handler, ShortPages: true, Counts: true},
			{Name: "uncounted", Handler: cloud{false, m}.handler, ShortPages: true},
		},
		Denied:    []conformance.Refusal{{Status: 403, Body: `{"code":"Denied","message":%q}`}},
		Gone:      conformance.Refusal{Status: 404, Body: `{"code":"FunctionNotFound","message":%q}`},
		Elsewhere: []conformance.Refusal{{Status: 404, Body: `{"code":"NoPath","message":%q}`}},
		Secrets:   []string{secret, signature}, Unusable: []string{`{}`, `7`},
		Codes:     conformance.Codes{Throttled: "Throttling", Failing: "Failed", Denied: "Denied", Gone: "FunctionNotFound"},
		Sentinels: []string{`{"ID":%q,"Start":"1970-01-01T00:00:00Z"}`},
		Versions:  versionsOf(), Settings: settingsOf(),
	}
	for mistake, make := range map[string]func(){
		"no provider":               func() { s.Provider = "" },
		"pages of one":              func() { s.PageSize = 1 },
		"no page of functions":      func() { s.FunctionPage = 0 },
		"no function":               func() { s.Function = nil },
		"nothing to open":           func() { s.Open = nil },
		"no ways":                   func() { s.Ways = nil },
		"a way without a handler":   func() { s.Ways[1].Handler = nil },
		"nothing is denied":         func() { s.Denied = nil },
		"nothing is gone":           func() { s.Gone = conformance.Refusal{} },
		"nothing is elsewhere":      func() { s.Elsewhere = nil },
		"a refusal repeats nothing": func() { s.Elsewhere[0].Body = "not found" },
		"no secrets":                func() { s.Secrets = nil },
		"nothing is unusable":       func() { s.Unusable = nil },
		"no codes":                  func() { s.Codes.Gone = "" },
		"no sentinels":              func() { s.Sentinels = nil },
		"no version":                func() { s.Versions.Version = nil },
		"no page of versions":       func() { s.Versions.Page = 0 },
		"no version is unusable":    func() { s.Versions.Unusable = nil },
		"there are always versions": func() { s.Versions.None = nil },
		"no setting":                func() { s.Settings.Setting = nil },
		"no page of settings":       func() { s.Settings.Page = 0 },
		"no setting is unusable":    func() { s.Settings.Unusable = nil },
		"versions are not told of":  func() { s.Versions = nil },
		"settings are not told of":  func() { s.Settings = nil },
		"the secrets are another's": func() { s.Secrets = []string{"another's"} },
	} {
		if m.makes(mistake) {
			make()
		}
	}
	return s
}

// A defective source has one of the defects, or none.
type defective struct{ defect string }

// has reports whether the source has this defect, which must be one of defects.
func (d defective) has(defect string) bool { return is(defects, d.defect, defect) }

// A mistaken suite has one of the mistakes, or none.
type mistaken struct{ mistake string }

// makes reports whether the suite has this mistake, which must be one of mistakes.
func (m mistaken) makes(mistake string) bool { return is(mistakes, m.mistake, mistake) }

func is(all []seen, wrong, what string) bool {
	if !slices.ContainsFunc(all, func(s seen) bool { return s.defect == what }) {
		panic("nothing sees whether " + what)
	}
	return wrong == what
}

// A source without a defect passes.
func TestSource(t *testing.T) { conformance.Test(t, suite(os.Getenv(defectEnv))) }

// Each defect and each mistake makes the right part fail. Each runs in another process.
func TestDefects(t *testing.T) {
	t.Parallel()
	for _, s := range slices.Concat(defects, mistakes) {
		t.Run(s.defect+"/"+s.part, func(t *testing.T) {
			t.Parallel()
			pattern, failed := "^TestSource$", "--- FAIL: TestSource"
			if s.part != "" {
				pattern += "/^" + strings.ReplaceAll(s.part, "/", "$/^") + "$"
				failed += "/" + strings.ReplaceAll(s.part, " ", "_")
			}
			c := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+pattern, "-test.timeout=2m")
			c.Env = append(os.Environ(), defectEnv+"="+s.defect)
			out, err := c.CombinedOutput()
			if err == nil || !strings.Contains(string(out), failed) || !strings.Contains(string(out), s.says) {
				t.Errorf("it was not seen, as %q: %v\n%s", s.says, err, out)
			}
		})
	}
}

// Each part has a defect that it has to find, and is in the documentation.
func TestParts(t *testing.T) {
	t.Parallel()
	documented, err := os.ReadFile("../../docs/sources.md")
	if err != nil {
		t.Fatal(err)
	}
	s := suite("")
	for _, part := range s.Parts() {
		if !slices.ContainsFunc(defects, func(s seen) bool { return strings.HasPrefix(s.part+"/", part+"/") }) {
			t.Errorf("nothing shows what %s sees", part)
		}
		if !strings.Contains(string(documented), "`"+part+"`") && !strings.Contains(string(documented), "`"+part+"/") {
			t.Errorf("%s is not in docs/sources.md", part)
		}
	}
}

func (*source) Traits() archive.Traits { return archive.Traits{Page: pageSize} }

func (*source) Ping(context.Context) error { return nil }
