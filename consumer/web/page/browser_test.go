package page_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const (
	// browserLimit bounds one test in a browser, untilLimit one wait: the machine may be busy.
	browserLimit = 2 * time.Minute
	untilLimit   = time.Minute
)

// browser is Chromium, or why it does not start.
type browser struct {
	ctx  context.Context
	stop func()
	err  error
}

var started atomic.Bool

// chromium is one browser for all tests.
var chromium = sync.OnceValue(func() browser {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.WindowSize(1280, 900),
		chromedp.WSURLReadTimeout(browserLimit))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stopBrowser := chromedp.NewContext(allocator)
	started.Store(true)
	return browser{ctx: ctx, err: chromedp.Do(ctx), stop: func() {
		stopBrowser()
		stopAllocator()
	}}
})

func TestMain(m *testing.M) {
	code := m.Run()
	if started.Load() {
		chromium().stop()
	}
	os.Exit(code)
}

// tab is a tab of a browser.
type tab struct {
	*testing.T
	ctx context.Context

	mu sync.Mutex
	// problems are errors of scripts, and what a policy has refused.
	problems []string
}

// open opens a page in a tab.
func (h *house) open(path string, actions ...chromedp.Action[chromedp.Void]) *tab {
	h.Helper()
	return h.openIn(h.T, path, actions...)
}

// openIn opens a page in a tab for a part of a test.
func (h *house) openIn(test *testing.T, path string, actions ...chromedp.Action[chromedp.Void]) *tab {
	test.Helper()
	b := chromium()
	if b.err != nil {
		test.Fatalf("Chromium does not start (Debian: apt-get install chromium): %v", b.err)
	}

	ctx, closeTab := chromedp.NewContext(b.ctx)
	test.Cleanup(closeTab)
	t := &tab{T: test}
	if err := chromedp.Do(ctx); err != nil { // a limit of time here would be that of the tab
		test.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, browserLimit)
	test.Cleanup(cancel)
	t.ctx = ctx
	if err := chromedp.Listen(ctx, t.listen); err != nil {
		test.Fatal(err)
	}
	t.run(actions...)
	t.run(chromedp.Navigate(h.url(path)))
	return t
}

func (t *tab) listen(event any) {
	text := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text = e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += ": " + e.ExceptionDetails.Exception.Description
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" {
			text = fmt.Sprintf("console: %v", e.Args[0].Value)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			text = fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	}
	if text == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.problems = append(t.problems, text)
}

// isQuiet checks that no script has failed, and nothing was refused.
func (t *tab) isQuiet() {
	t.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.problems) > 0 {
		t.Errorf("the browser reports:\n\t%s", strings.Join(t.problems, "\n\t"))
	}
}

func (t *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(t.ctx, actions...); err != nil {
		t.Fatalf("%v\n%s", err, t.problems)
	}
}

// evaluate returns what an expression in the page is.
func evaluate[T any](t *tab, expression string) (value T) {
	t.Helper()
	value, err := chromedp.Run(t.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v\n%s", expression, err, t.problems)
	}
	return value
}

// until waits until an expression holds.
func (t *tab) until(what, expression string) {
	t.Helper()
	for end := time.Now().Add(untilLimit); ; time.Sleep(20 * time.Millisecond) {
		if evaluate[bool](t, expression) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("never: %s\n%s\n%s", what, t.problems, evaluate[string](t, "document.body.innerText"))
		}
	}
}

// untilText waits until the page shows a text.
func (t *tab) untilText(text string) {
	t.Helper()
	t.until("the page shows "+text, fmt.Sprintf("document.body?.innerText.includes(%q) ?? false", text))
}

// isLive waits until the page follows the stream.
func (t *tab) isLive() {
	t.Helper()
	t.until("the page is live", `document.querySelector("#status .state-word")?.textContent === "live"`)
}

// inTheme looks at pages as a visitor who prefers a theme: light or dark.
func inTheme(theme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{
				{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"},
			},
		})
		return err
	})
}

// movePointer moves the pointer to a place in the window.
func movePointer(x, y float64) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseMoved, X: x, Y: y})
		return err
	})
}

// withoutScripts makes pages do without JavaScript.
var withoutScripts = chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
	_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	return err
})
