package page

import (
	"flag"
	"os"
	"testing"

	"github.com/chromedp/chromedp"
)

var update = flag.Bool("update", false, "write the screenshots of docs")

func TestShots(t *testing.T) {
	a := story(t)
	b := browse(t, serve(a))
	for _, shot := range []struct {
		name, path    string
		width, height int64
		dark          bool
	}{
		{"week", "/", 1360, 1250, false},
		{"week-dark", "/", 1360, 900, true},
		{"day", "/?zoom=day", 1360, 1250, false},
		{"quarter", "/?zoom=quarter", 1360, 1250, false},
		{"month", "/?zoom=month", 1360, 1250, true},
		{"year", "/?zoom=year", 1360, 1250, true},
		{"phone2", "/", 390, 1800, true},
		{"phone", "/", 390, 1700, false},
	} {
		b.do(chromedp.EmulateViewport(shot.width, shot.height))
		b.dark(shot.dark)
		b.open(shot.path)
		if shot.name == "phone2" {
			b.do(chromedp.Evaluate[chromedp.Void](`scrollTo(0, 1500)`))
		}
		png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("/tmp/i6/shot-"+shot.name+".png", png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
