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
		{"week", "/", 1360, 900, false},
		{"week-dark", "/", 1360, 900, true},
		{"day", "/?zoom=day", 1360, 900, false},
		{"quarter", "/?zoom=quarter", 1360, 900, false},
		{"month", "/?zoom=month", 1360, 900, true},
		{"year", "/?zoom=year", 1360, 900, true},
		{"phone", "/", 390, 844, false},
	} {
		b.do(chromedp.EmulateViewport(shot.width, shot.height))
		b.dark(shot.dark)
		b.open(shot.path)
		png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("/tmp/i6/shot-"+shot.name+".png", png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
