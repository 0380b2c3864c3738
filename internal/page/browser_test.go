package page

import (
	"context"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const browserTimeout = 5 * time.Minute

// chromium returns the path of the browser.
func chromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("chromium is not installed: apt-get install chromium, or run the tests with make test")
	return ""
}

// A browser is a Chromium process of one test.
type browser struct{ ctx context.Context }

func newBrowser(t testing.TB) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		// Chromium's sandbox does not start as root, nor in most containers.
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-lcd-text", true), chromedp.Flag("font-render-hinting", "none"),
	)
	// t.Context() ends before the cleanups, but closing the browser needs a
	// context.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), browserTimeout)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(end)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start the browser: %v", err)
	}
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("end the browser: %v", err)
		}
	})
	return &browser{ctx}
}

// A tab is a page in the browser. When its test ends, it fails the test if the
// console has messages, or if the page has called another host.
type tab struct {
	t    testing.TB
	ctx  context.Context
	base string

	mu      sync.Mutex
	errors  []string
	foreign []string
}

func (b *browser) tab(t testing.TB, base string) *tab {
	t.Helper()
	p := &tab{t: t, base: base}
	var end context.CancelFunc
	p.ctx, end = chromedp.NewContext(b.ctx, chromedp.WithListener(p.notice))
	t.Cleanup(func() {
		end()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, e := range p.errors {
			t.Errorf("the console says: %s", e)
		}
		for _, u := range p.foreign {
			t.Errorf("the page called another host: %s", u)
		}
	})
	send(p, network.Enable, network.EnableParams{})
	p.size(1360, 900)
	return p
}

func (p *tab) notice(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		p.errors = append(p.errors, e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		p.errors = append(p.errors, e.Entry.Text+" "+e.Entry.URL)
	case *runtime.EventConsoleAPICalled:
		p.errors = append(p.errors, "a call of console."+string(e.Type))
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, p.base) && !strings.HasPrefix(e.Request.URL, "data:") {
			p.foreign = append(p.foreign, e.Request.URL)
		}
	}
}

// send sends a command to the tab.
func send[P, R any](p *tab, command cdp.Command[P, R], params P) {
	p.t.Helper()
	if _, err := chromedp.Call(p.ctx, command, params); err != nil {
		p.t.Fatal(err)
	}
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// open navigates to an address.
func (p *tab) open(path string) {
	p.t.Helper()
	p.do(chromedp.Navigate(p.base + path))
}

// follow runs steps that navigate to another page, and waits for that page.
func (p *tab) follow(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, browserTimeout/4)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, steps...); err != nil {
		p.t.Fatalf("no navigation: %v", err)
	}
}

// query returns a query parameter of the current address.
func (p *tab) query(name string) string {
	p.t.Helper()
	u, err := url.Parse(eval[string](p, `location.href`))
	if err != nil {
		p.t.Fatal(err)
	}
	return u.Query().Get(name)
}

func (p *tab) size(width, height int64) {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(width, height))
}

func (p *tab) dark(dark bool) {
	p.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	send(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
}

// eval evaluates an expression in the page.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// serve serves the archive's page over HTTP.
func serve(a *archiveDB) string {
	web := httptest.NewServer(a.page)
	a.t.Cleanup(web.Close)
	return web.URL
}
