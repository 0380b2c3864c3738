package page

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var update = flag.Bool("update", false, "write the screenshots of docs/status-page.md")

// The page in a real browser.
func TestBrowser(t *testing.T) {
	t.Parallel()
	a := story(t)
	base, b := serve(a), newBrowser(t)
	for _, look := range []struct {
		name string
		at   func(*tab)
	}{
		{"screenshots", screenshots}, {"zoom", zoomAbout}, {"labels", wholeLabels}, {"filter", filter}, {"keyboard", byKeyboard}, {"phone", onAPhone},
		{"without script", withoutScript}, {"hostile", hostileNames}, {"contrast", contrasts},
	} {
		t.Run(look.name, func(t *testing.T) { look.at(b.tab(t, base)) })
		if look.name == "screenshots" { // all other tests use the hostile names
			a.hostile()
		}
	}
	t.Run("report", func(t *testing.T) { fromDisk(b.tab(t, "file://"), a) })
	t.Run("refresh", func(t *testing.T) { refreshes(b.tab(t, base), a) })
}

// expectZoom checks the zoom and its number of columns.
func expectZoom(p *tab, zoom string, columns int) {
	p.t.Helper()
	if got := p.query("zoom"); got != zoom {
		p.t.Errorf("zoom is %q, want %s", got, zoom)
	}
	if got := eval[int](p, `document.querySelector(".map tbody tr").querySelectorAll("td").length`); got != columns {
		p.t.Errorf("%s: %d columns, want %d", zoom, got, columns)
	}
}

// click clicks the element of a selector.
func click(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.Click(chromedp.CSS(selector))
}

func zoomAbout(p *tab) {
	p.open("/")
	for n, z := range []struct {
		key     string
		columns int
	}{{"day", 24}, {"week", 168}, {"month", 30}, {"quarter", 90}, {"year", 53}} {
		p.follow(click(fmt.Sprintf(".zooms a:nth-child(%d)", n+1)))
		expectZoom(p, z.key, z.columns)
		if got := eval[string](p, `document.querySelector(".zooms [aria-current]").textContent`); got != zooms[n].Label {
			p.t.Errorf("the current zoom is %s, want %s", got, zooms[n].Label)
		}
	}
	// Zoom from the year to a week, a day, and the hours of an outage.
	p.follow(click(`.map thead th:last-child a[aria-label="Show the week of 9 March 2026"]`))
	expectZoom(p, "week", 168)
	p.follow(click(`.map thead a[aria-label="Show Wednesday, 11 March 2026"]`))
	expectZoom(p, "day", 24)
	if n := eval[int](p, `document.querySelectorAll(".map td.f").length`); n != 25 {
		p.t.Errorf("%d hours failed on that day, want 25", n)
	}
	p.follow(click(`[rel=prev]`))
	if at := p.query("at"); at != "2026-03-10" {
		p.t.Errorf("the day before the 11th is %s", at)
	}
	p.follow(click(`[rel=next]`))
	if at := p.query("at"); at != "2026-03-11" {
		p.t.Errorf("the day after the 10th is %s", at)
	}
	p.follow(click(`.around a:last-child`))
	if at := eval[string](p, `document.querySelector("[name=at]").value`); at != "2026-03-14" {
		p.t.Errorf("the newest day is %s", at)
	}
}

// No label above the map is cut off, on any screen and up to any day.
func wholeLabels(p *tab) {
	for _, z := range zooms {
		for _, last := range []string{"2026-03-14", "2025-12-02"} {
			p.open("/?zoom=" + z.Key + "&at=" + last)
			for _, width := range []int64{1440, 820, 390} {
				p.size(width, 900)
				cut := eval[[]string](p, `[...document.querySelectorAll(".map thead th:not(.name)")].filter((h) => h.scrollWidth > h.clientWidth).map((h) => h.textContent)`)
				if dots := eval[int](p, `[...document.querySelectorAll(".map thead th:not(.name)")].filter((h) => h.textContent == "·").length`); dots > 2 {
					p.t.Errorf("%s up to %s: %d labels are dots", z.Key, last, dots)
				}
				if len(cut) > 0 {
					p.t.Errorf("%s up to %s at %d pixels: %d labels are cut off: %s", z.Key, last, width, len(cut), strings.Join(cut, ", "))
				}
			}
		}
	}
}

func filter(p *tab) {
	p.open("/?zoom=month")
	p.follow(chromedp.SendKeys(chromedp.CSS("[name=q]"), "orders"+kb.Enter))
	const names = `[...document.querySelectorAll(".map tbody .name bdi")].map((n) => n.textContent).join(" ")`
	if got := eval[string](p, names); got != "orders-export orders-import" {
		p.t.Errorf("functions with orders in their name: %s", got)
	}
	expectZoom(p, "month", 30)
	p.follow(click(".map tbody tr:nth-child(2) a"))
	if got := eval[string](p, names); got != "orders-import" {
		p.t.Errorf("the second of them: %s", got)
	}
	p.follow(click("form a"))
	if n := eval[int](p, `document.querySelectorAll(".map tbody tr").length`); n != 25 {
		p.t.Errorf("%d of all functions are shown, want 25", n)
	}
}

// Each zoom can be reached by the keyboard, the focus is visible, and the arrow
// keys move over the map.
func byKeyboard(p *tab) {
	p.open("/")
	seen := make(map[string]bool)
	for n := range 24 {
		p.do(chromedp.KeyEvent(kb.Tab))
		if n == 0 {
			if got := eval[string](p, `document.activeElement.className`); got != "skip" {
				p.t.Errorf("the first thing to reach is %q, want the skip link", got)
			}
		}
		seen[eval[string](p, `document.activeElement.textContent.trim()`)] = true
		// A date field contains a button of the browser. When the button has
		// the focus, the field does not, and the browser shows the focus.
		if !eval[bool](p, `((e, style) => !e.matches(":focus") || style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2)(document.activeElement, getComputedStyle(document.activeElement))`) {
			p.t.Errorf("the focus on %s is not visible", eval[string](p, `document.activeElement.outerHTML`))
		}
	}
	for _, z := range zooms {
		if !seen[z.Label] {
			p.t.Errorf("the tab key does not reach %s: %v", z.Label, seen)
		}
	}
	p.do(chromedp.Focus(chromedp.CSS(".map tbody td")))
	const where = `document.activeElement.parentElement.rowIndex + " " + document.activeElement.cellIndex`
	before := eval[string](p, where)
	p.do(chromedp.KeyEvent(kb.ArrowDown + kb.ArrowDown + kb.ArrowUp + kb.End + kb.ArrowLeft))
	if got := eval[string](p, where); got != "3 167" || before != "2 1" {
		p.t.Errorf("the arrow keys lead from %s to %s", before, got)
	}
	p.do(chromedp.KeyEvent(kb.Home))
	if got := eval[string](p, `document.querySelector(".cell").textContent`); got != "checkout-capture, Sun 8 Mar 00:00: complete; 4 records" {
		p.t.Errorf("the text of the cell is %s", got)
	}
	p.follow(chromedp.KeyEvent(kb.Enter))
	if zoom, at := p.query("zoom"), p.query("at"); zoom != "day" || at != "2026-03-08" {
		p.t.Errorf("Enter leads to %s of %s, want that day", zoom, at)
	}
}

// On a phone the page fits the width. The map scrolls in its box, and shows the
// newest hours first.
func onAPhone(p *tab) {
	p.size(390, 844)
	for _, z := range zooms {
		p.open("/?zoom=" + z.Key)
		if wide := eval[int](p, `document.documentElement.scrollWidth`); wide != 390 {
			p.t.Errorf("%s: the page is %d wide", z.Key, wide)
		}
		if !eval[bool](p, `((box) => box.scrollWidth > box.clientWidth && box.scrollLeft + box.clientWidth >= box.scrollWidth - 1)(document.querySelector(".box"))`) {
			p.t.Errorf("%s: the map does not scroll in its box, or does not show the newest", z.Key)
		}
		if !eval[bool](p, `[...document.querySelectorAll(".zooms a, button, input:not([type=hidden])")].every((e) => e.getBoundingClientRect().height >= 24)`) {
			p.t.Errorf("%s: a touch target is too small", z.Key)
		}
	}
}

// The page, its zooms and its filter work without the script.
func withoutScript(p *tab) {
	send(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	p.open("/")
	p.follow(click(".zooms a:nth-child(4)"))
	p.follow(chromedp.SendKeys(chromedp.CSS("[name=q]"), "media"+kb.Enter))
	send(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{})
	expectZoom(p, "quarter", 90)
	if n := eval[int](p, `document.querySelectorAll(".map tbody tr").length`); n != 2 {
		p.t.Errorf("%d functions have media in their name, want 2", n)
	}
	if n := eval[int](p, `document.querySelectorAll(".top button").length`); n != 0 {
		p.t.Error("the script ran")
	}
}

// A refresh keeps the focus.
func refreshes(p *tab, a *archiveDB) {
	p.open("/")
	p.do(chromedp.Focus(chromedp.CSS(".map tbody td")), chromedp.KeyEvent(kb.ArrowDown+kb.ArrowRight))
	a.run("once", at(0, 9), 3*time.Second, "")
	p.do(chromedp.Evaluate[chromedp.Void](`document.dispatchEvent(new Event("visibilitychange"))`))
	p.do(chromedp.Poll[chromedp.Void](`document.body.innerText.includes("once of")`))
	if got := eval[string](p, `document.activeElement.parentElement.rowIndex + " " + document.activeElement.cellIndex`); got != "3 2" {
		p.t.Errorf("after the refresh the focus is on %s", got)
	}
	p.do(click(".top button"))
	if got := eval[string](p, `document.querySelector(".top button").textContent`); got != "Refresh every minute" {
		p.t.Errorf("the button says %s once refreshing is stopped", got)
	}
}

// Names and errors with HTML in them are shown as text.
func hostileNames(p *tab) {
	for _, z := range zooms {
		p.open("/?zoom=" + z.Key)
		if got := eval[string](p, `document.title`); got != "archiver: status" {
			p.t.Errorf("the title is %s", got)
		}
		if n := eval[int](p, `document.querySelectorAll("img").length + document.scripts.length`); n != 1 {
			p.t.Errorf("%d images and scripts, want only the page's script", n)
		}
		if !eval[bool](p, fmt.Sprintf(`[...document.querySelectorAll("bdi")].filter((e) => e.textContent === %q).length >= 3`, hostile)) {
			p.t.Error("the name is not shown unchanged in the map, at risk and in the errors")
		}
	}
	p.open("/?q=%22%3E%3Cscript%3Edocument.title%3D1%3C%2Fscript%3E")
	if got := eval[string](p, `document.title + document.querySelector("[name=q]").value`); got != `archiver: status"><script>document.title=1</script>` {
		p.t.Errorf("the search text is shown as %s", got)
	}
}

// fromDisk opens the report as a file, and checks all zooms.
func fromDisk(p *tab, a *archiveDB) {
	var report bytes.Buffer
	if err := a.page.Report(p.t.Context(), &report); err != nil {
		p.t.Fatal(err)
	}
	file := filepath.Join(p.t.TempDir(), "report.html")
	if err := os.WriteFile(file, report.Bytes(), 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.open(file)
	const shown = `[...document.querySelectorAll(".view")].filter((v) => v.getClientRects().length > 0).map((v) => v.id).join(" ")`
	if got := eval[string](p, shown); got != "week" {
		p.t.Errorf("the report begins with %q", got)
	}
	for n, z := range zooms {
		p.do(click(fmt.Sprintf(".view:target .zooms a:nth-child(%d), body:not(:has(.view:target)) .default .zooms a:nth-child(%[1]d)", n+1)))
		if got := eval[string](p, shown); got != z.Key {
			p.t.Errorf("%s of the report shows %q", z.Label, got)
		}
	}
	for _, no := range []string{`href="/`, `src=`, `action="`, "@import", "url("} {
		if strings.Contains(strings.ReplaceAll(report.String(), "src=//example.com/x", ""), no) {
			p.t.Errorf("the report contains %s", no)
		}
	}
	p.size(390, 844)
	if wide := eval[int](p, `document.documentElement.scrollWidth`); wide != 390 {
		p.t.Errorf("on a phone the report is %d wide", wide)
	}
}

// screenshots checks the screenshots of the docs; -update writes them.
func screenshots(p *tab) {
	for _, shot := range []struct {
		name          string
		path          string
		width, height int64
		dark          bool
	}{
		{"status-page.png", "/", 1360, 1560, false},
		{"status-page-dark.png", "/?zoom=month", 1360, 1480, true},
		{"status-page-phone.png", "/?zoom=week", 390, 1400, false},
	} {
		p.size(shot.width, shot.height)
		p.dark(shot.dark)
		p.open(shot.path)
		png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			p.t.Fatal(err)
		}
		file := filepath.Join("..", "..", "docs", shot.name)
		if *update {
			if err := os.WriteFile(file, png, 0o644); err != nil {
				p.t.Fatal(err)
			}
		}
		if kept, err := os.Stat(file); err != nil || kept.Size() > 200<<10 {
			p.t.Errorf("%s is missing or too large: go test ./internal/page -update (%v)", file, err)
		}
	}
}
