package simulate_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"archiver/internal/simulate"
)

// call makes a call over the network and returns its result.
func call(t testing.TB, endpoint, path string) (status int, header http.Header, body string, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, endpoint+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, "", err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	return answer.StatusCode, answer.Header, string(b), err
}

func TestDisturbances(t *testing.T) {
	t.Parallel()
	d := generate(t, 1, 300)
	const list = "/v2/" + projectID + "/fgs/functions"
	for _, c := range []struct {
		spec   string
		status int
		body   string
		retry  string
		err    error
	}{
		{spec: "429=1", status: 429, body: "APIGW.0308", retry: "1"},
		{spec: "429=1,retry-after=0", status: 429, body: "APIGW.0308", retry: "0"},
		{spec: "429-bare=1", status: 429, body: "APIGW.0308"},
		{spec: "500=1", status: 500, body: "FSS.0500"},
		{spec: "502=1", status: 502, body: "<title>502 Bad Gateway</title>"},
		{spec: "reset=1", err: syscall.ECONNRESET},
		{spec: "cut=1", status: 200, body: `{"functions":[{"func_urn":"urn:fss:`, err: io.ErrUnexpectedEOF},
		{spec: "blank=1", status: 200},
		{spec: "deny=1", status: 403, body: "FSS.0403"},
	} {
		s, h := serve(t, d, with(t, c.spec))
		status, header, body, err := call(t, h.URL, list)
		if status != c.status || !strings.Contains(body, c.body) || c.body == "" && body != "" ||
			header.Get("Retry-After") != c.retry || !errors.Is(err, c.err) {
			t.Errorf("%s: %d %v %q, %v", c.spec, status, header, body, err)
		}
		stats := s.Stats()
		if disturbed := stats.Disturbed == 1; disturbed != !strings.HasPrefix(c.spec, "deny") {
			t.Errorf("%s: %+v", c.spec, stats)
		}
		if got := stats.Throttled + stats.Failed + stats.Forbidden; got != map[bool]int64{true: 1}[c.status >= 400] {
			t.Errorf("%s: %+v", c.spec, stats)
		}
	}
}

// Half of the answer is sent, with the Content-Length of the whole.
func TestCutInHalf(t *testing.T) {
	t.Parallel()
	d := generate(t, 1, 300)
	plain, cut := "", ""
	for spec, body := range map[string]*string{"cut=0": &plain, "cut=1": &cut} {
		s, h := serve(t, d, with(t, spec))
		_, _, *body, _ = call(t, h.URL, "/v2/"+projectID+"/fgs/functions/"+s.Functions()[0].URN+"/async-invocations?"+everything)
	}
	if !json.Valid([]byte(plain)) || cut != plain[:len(plain)/2] {
		t.Errorf("%d bytes of %d", len(cut), len(plain))
	}
}

func TestHang(t *testing.T) {
	t.Parallel()
	s, h := serve(t, generate(t, 1, 1), with(t, "hang=1"))
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL+"/v2/"+projectID+"/fgs/functions", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", token)
	answered := make(chan error, 1)
	go func() {
		answer, err := http.DefaultClient.Do(r)
		if err == nil {
			err = answer.Body.Close()
		}
		answered <- err
	}()
	// The call hangs from the moment it is counted until the client gives up.
	for s.Stats().Disturbed == 0 {
		select {
		case err := <-answered:
			t.Fatalf("answered: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if err := <-answered; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A share of the calls is disturbed, the same calls on each server, and retries
// succeed in the end.
func TestShareOfCalls(t *testing.T) {
	t.Parallel()
	d := generate(t, 1, 10)
	statuses := func(spec string) (list [400]int, s *simulate.Server) {
		s, _ = serve(t, d, with(t, spec))
		for n := range list {
			list[n] = get(s, "/v2/"+projectID+"/fgs/functions?marker="+jsonNumber(n%20)).Code
		}
		return list, s
	}
	list, s := statuses("429=0.1,500=0.1,502=0.05")
	if again, _ := statuses("429=0.1,500=0.1,502=0.05"); again != list {
		t.Error("other calls are disturbed when they are made again")
	}
	count := map[int]int{}
	for _, status := range list {
		count[status]++
	}
	if count[429] < 20 || count[429] > 60 || count[500] < 20 || count[500] > 60 || count[502] < 8 || count[502] > 35 || count[200] < 260 {
		t.Errorf("%v", count)
	}
	if stats := s.Stats(); stats.Disturbed != int64(400-count[200]) || stats.ListFunctions != int64(count[200]) {
		t.Errorf("%+v", stats)
	}
	// In equal parts; this test leaves out those that end the connection.
	all, _ := statuses("trouble=0.8,reset=0,cut=0,hang=0")
	count = map[int]int{}
	for _, status := range all {
		count[status]++
	}
	if count[429] < 50 || count[429] > 110 || count[500] < 20 || count[500] > 65 || count[502] < 20 || count[502] > 65 {
		t.Errorf("%v", count)
	}
}

func TestDeny(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, generate(t, 1, 10), with(t, "deny=3"))
	for n, want := range []int{200, 200, 403, 403, 403} {
		if got := get(s, "/v2/"+projectID+"/fgs/functions").Code; got != want {
			t.Errorf("call %d: %d, want %d", n+1, got, want)
		}
	}
}

// Functions that are gone or broken are listed, but their calls fail.
func TestGoneAndBroken(t *testing.T) {
	t.Parallel()
	const functions = 10
	now := &clock{now: noon}
	s, _ := serve(t, generate(t, functions, 1000), at(now), with(t, "gone=0.25,broken=0.15,gone-after=1h"))
	check := func(wantGone int) {
		t.Helper()
		gone, broken := 0, 0
		for i, info := range s.Functions() {
			want := 200
			switch {
			case info.Gone:
				want, gone = 404, gone+1
			case info.Broken:
				want, broken = 500, broken+1
			}
			for _, path := range []string{"async-invocations", "versions", "async-invoke-configs"} {
				if got := get(s, "/v2/"+projectID+"/fgs/functions/"+info.URN+"/"+path).Code; got != want {
					t.Errorf("%s %s: %d, want %d", info.Name, path, got, want)
				}
			}
			if n := len(truth(s, i)); (n > 0) != (want == 200) {
				t.Errorf("%s answers %d and has %d records", info.Name, want, n)
			}
		}
		if gone != wantGone || broken != 2 {
			t.Errorf("%d functions are gone and %d broken, want %d and 2", gone, broken, wantGone)
		}
	}
	check(0)
	now.Set(noon.Add(time.Hour))
	check(3)
	if all := get(s, "/v2/"+projectID+"/fgs/functions"); strings.Count(all.Body.String(), "func_urn") != functions {
		t.Errorf("the list: %s", all.Body)
	}
}
