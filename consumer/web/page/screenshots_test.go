package page_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

var screenshotsDir = flag.String("screenshots", "", "folder to write a picture of each page to")

// TestPicturesOfTheManual draws the two of README, if -screenshots says where.
func TestPicturesOfTheManual(t *testing.T) {
	if *screenshotsDir == "" {
		t.Skip("draws pictures only with -screenshots DIR")
	}
	h := newHouse(t, allowingAll)
	incident := h.furnish(22)
	h.sees("/", "24 hours · 22")
	for _, c := range []struct{ name, path, theme string }{
		{name: "fleet.png", path: "/", theme: "light"}, {name: "incident.png", path: incident, theme: "dark"},
	} {
		tab := h.open(c.path, inTheme(c.theme), chromedp.EmulateViewport(1100, 860))
		tab.isLive()
		picture, err := chromedp.Run(tab.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(*screenshotsDir, c.name), picture, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestScreenshots draws each page, wide and narrow, light and dark, if -screenshots says where.
func TestScreenshots(t *testing.T) {
	if *screenshotsDir == "" {
		t.Skip("draws pictures only with -screenshots DIR")
	}
	h := newHouse(t, allowingAll)
	for _, p := range h.pages() {
		tab := h.visit(t, p)
		for _, s := range screens {
			tab.run(s.actions()...)
			picture, err := chromedp.Run(tab.ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(*screenshotsDir, fmt.Sprintf("%s-%d-%s.png", p.name, s.width, s.theme))
			if err := os.WriteFile(file, picture, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}
