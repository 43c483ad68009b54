package page_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

var screenshotsDir = flag.String("screenshots", "", "folder to write a picture of each page to")

// TestPicturesOfTheManual draws the two of README, if -screenshots says where.
func TestPicturesOfTheManual(t *testing.T) {
	if *screenshotsDir == "" {
		t.Skip("draws pictures only with -screenshots DIR")
	}
	h := newHouse(t, silencing)
	incident := h.furnish()
	h.get("/") // counts the crashes
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
	h := newHouse(t, silencing)
	incident := h.furnish()
	for _, path := range []string{
		"/", "/hosts/web3", "/processes/db1/sync/sync", "/alerts", incident, "/events", "/mutes",
		"/mutes/new?host=web3&group=api",
		"/?q=nothing", "/hosts/none",
	} {
		for _, theme := range []string{"light", "dark"} {
			for _, width := range []int64{1280, 375} {
				tab := h.open(path, inTheme(theme), chromedp.EmulateViewport(width, 900))
				if !strings.Contains(path, "none") && !strings.Contains(path, "new") {
					tab.isLive()
				}
				picture, err := chromedp.Run(tab.ctx, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatal(err)
				}
				name := strings.Trim(strings.NewReplacer("/", "-", "?", "-", "&", "-", "=", "-").Replace(path), "-")
				file := filepath.Join(*screenshotsDir, fmt.Sprintf("%s-%d-%s.png", cmp.Or(name, "fleet"), width, theme))
				if err := os.WriteFile(file, picture, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
