package app

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"supernats/consumer/config"
	"supernats/consumer/fleettest"
	"supernats/consumer/health"
	"supernats/consumer/notify/chat"
	"supernats/consumer/notify/exec"
	"supernats/consumer/notify/mail"
	"supernats/consumer/notify/mail/smtptest"
	"supernats/consumer/notify/pagerduty"
	"supernats/consumer/notify/post"
	"supernats/consumer/notify/webhook"
	"supernats/schema"
	"supernats/schema/secretfile"
)

// brokenReceivers are broken, each in its own way.
func brokenReceivers(t *testing.T) []config.Receiver {
	t.Helper()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	status := func(code int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
		t.Cleanup(s.Close)
		return s.URL
	}
	drip := func(text string) func(context.Context, net.Conn) {
		return func(ctx context.Context, c net.Conn) {
			for {
				if _, err := io.WriteString(c, text); err != nil || health.Sleep(ctx, 20*time.Millisecond) != nil {
					return
				}
			}
		}
	}
	unknownAuthority := httptest.NewUnstartedServer(http.NotFoundHandler())
	unknownAuthority.Config.ErrorLog = log.New(io.Discard, "", 0)
	unknownAuthority.StartTLS()
	t.Cleanup(unknownAuthority.Close)
	later := smtptest.Behaviour{Data: smtptest.Answer{Code: 451, Text: "4.7.1 try later"}}
	smtp, err := smtptest.Start(smtptest.Options{Behaviour: later})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = smtp.Close() })

	waits := post.HTTPConfig{Timeout: schema.Duration(2 * time.Second)}
	hook := func(name, url string) config.Receiver {
		c := webhook.Config{URL: secretfile.Secret(url), HTTPConfig: waits}.WithDefaults()
		return config.Receiver{Name: name, Kinds: config.Kinds{Webhook: &c}}
	}
	command := func(name, text string) config.Receiver {
		c := exec.Config{
			Command: fleettest.Script(t, text), Timeout: schema.Duration(2 * time.Second),
			KillAfter: schema.Duration(200 * time.Millisecond),
		}.WithDefaults()
		return config.Receiver{Name: name, Kinds: config.Kinds{Exec: &c}}
	}
	mails := func(name, address string) config.Receiver {
		c := mail.Config{
			Smarthost: address, TLS: mail.TLSNone, From: "a@example.com", To: []string{"b@example.com"},
			Timeout: schema.Duration(2 * time.Second),
		}.WithDefaults()
		return config.Receiver{Name: name, Kinds: config.Kinds{Mail: &c}}
	}
	slack := chat.SlackConfig{
		URL: secretfile.Secret(status(http.StatusServiceUnavailable)), HTTPConfig: waits,
	}.WithDefaults()
	pager := pagerduty.Config{
		URL: status(http.StatusTooManyRequests), RoutingKey: "0123456789abcdef0123456789abcdef", HTTPConfig: waits,
	}.WithDefaults()
	return []config.Receiver{
		hook("refused", "http://"+closed.Addr().String()),
		hook("hangs", "http://"+fleettest.Serve(t, func(ctx context.Context, _ net.Conn) { <-ctx.Done() })),
		hook("error", status(http.StatusInternalServerError)),
		hook("drips", "http://"+fleettest.Serve(t, drip("H"))),
		hook("floods", "http://"+fleettest.Serve(t, func(_ context.Context, c net.Conn) {
			for b := make([]byte, 64<<10); ; {
				if _, err := c.Write(b); err != nil {
					return
				}
			}
		})),
		hook("garbage", "http://"+fleettest.Serve(t, func(_ context.Context, c net.Conn) {
			_, _ = io.WriteString(c, "\x00\xff\r\n\x1b[2J\r\n\r\n")
		})),
		hook("tls", unknownAuthority.URL),
		hook("no-such-host", "http://nowhere.invalid/"),
		hook("gone", status(http.StatusGone)),
		command("never-ends", `trap "" TERM; while :; do sleep 0.1; done`),
		command("fails", "exit 1"),
		mails("mail-451", smtp.Addr()),
		mails("mail-drips", fleettest.Serve(t, drip("2"))),
		{Name: "slack-503", Kinds: config.Kinds{Slack: &slack}},
		{Name: "pager-429", Kinds: config.Kinds{PagerDuty: &pager}},
	}
}

// However others are broken, one that works is notified at once, and they take no more
// memory and goroutines the longer it lasts.
func TestBrokenReceiversHoldUpNoOther(t *testing.T) {
	f := fleettest.New(t)
	var received atomic.Pointer[func(body string)]
	works := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if f := received.Load(); f != nil {
			(*f)(string(b))
		}
	}))
	t.Cleanup(works.Close)

	cfg := config.Default()
	cfg.Listen, cfg.NATS.URL = "", f.Server.URL
	cfg.Receivers = brokenReceivers(t)
	good := webhook.Config{URL: secretfile.Secret(works.URL)}.WithDefaults()
	cfg.Receivers = append(cfg.Receivers, config.Receiver{Name: "works", Kinds: config.Kinds{Webhook: &good}})
	readyDaemon(t, cfg)

	const crashes = 9
	var took []time.Duration
	goroutines, most := 0, 0
	for i := range crashes {
		process, heard := fmt.Sprintf("api_%02d", i), make(chan bool, 1)
		hears := func(body string) {
			if strings.Contains(body, process) {
				select {
				case heard <- true:
				default:
				}
			}
		}
		received.Store(&hears)
		begun := time.Now()
		f.Publish(f.Crash(func(e *schema.Event) { e.Process = process }))
		select {
		case <-heard:
			took = append(took, time.Since(begun))
		case <-time.After(20 * time.Second):
			t.Fatalf("nobody is notified of %s", process)
		}
		time.Sleep(400 * time.Millisecond) // so that the others come to their time-outs
		if n := runtime.NumGoroutine(); i < crashes/2 {
			goroutines = max(goroutines, n)
		} else {
			most = max(most, n)
		}
	}

	// A busy machine may be late once or twice.
	slices.Sort(took)
	if took[len(took)/2] > time.Second {
		t.Errorf("it took %v", took)
	}
	if most > goroutines+60 {
		t.Errorf("%d goroutines have become %d", goroutines, most)
	}
	var mem runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&mem)
	if mem.HeapAlloc > 128<<20 {
		t.Errorf("%d MiB are in use", mem.HeapAlloc>>20)
	}
	t.Logf("notified in %v, %d goroutines, %d MiB", took, most, mem.HeapAlloc>>20)
}
