package deliver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"supernats/consumer/fleettest"
	"supernats/consumer/notify"
	"supernats/consumer/notify/alertmanager"
	"supernats/consumer/notify/exec"
	"supernats/consumer/notify/mail"
	"supernats/consumer/notify/pagerduty"
	"supernats/consumer/notify/post"
	"supernats/consumer/notify/webhook"
	"supernats/schema"
	"supernats/schema/secretfile"
)

// inbound is what has arrived at the other side of a receiver, whole requests and
// mails.
type inbound struct {
	mu   sync.Mutex
	list []string
}

func (i *inbound) add(s string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.list = append(i.list, s)
}

// has reports whether something that was taken has a text in it, and how often.
func (i *inbound) has(text string) (n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, s := range i.list {
		n += min(1, strings.Count(s, text))
	}
	return n
}

// poison is in the notification on which the other side chokes.
const poison = "poison"

// answering is a URL that takes what has no poison, and answers the rest by choke.
func answering(t *testing.T, in *inbound, choke http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if strings.Contains(string(b), poison) {
			choke(w, r)
			return
		}
		in.add(string(b))
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"status":"success","message":"Event processed"}`)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// filteringServer takes mails without poison; choke gets the connection of the others
// where the answer to the text is due.
func filteringServer(t *testing.T, in *inbound, choke func(ctx context.Context, c net.Conn)) string {
	t.Helper()
	return fleettest.Serve(t, func(ctx context.Context, c net.Conn) {
		lines := bufio.NewReader(c)
		_, _ = io.WriteString(c, "220 mx.example.com ESMTP\r\n")
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			answer := "250 ok"
			switch strings.ToUpper(strings.TrimSpace(line)) {
			case "DATA":
				_, _ = io.WriteString(c, "354 go ahead\r\n")
				text := ""
				for line = ""; line != ".\r\n"; text += line {
					if line, err = lines.ReadString('\n'); err != nil {
						return
					}
				}
				if strings.Contains(text, poison) {
					choke(ctx, c)
					continue
				}
				in.add(text)
			case "QUIT":
				answer = "221 bye"
			}
			if _, err := io.WriteString(c, answer+"\r\n"); err != nil {
				return
			}
		}
	})
}

// Whatever a receiver is, and in whatever way it chokes on one notification: those
// after it are delivered, each once, and that one is parked.
func TestRealReceiversChokeOnOne(t *testing.T) {
	id := notify.Identity{Instance: "mon1"}
	type maker = func(t *testing.T, in *inbound, wait post.HTTPConfig) (notify.Receiver, error)
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	hangs := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	resets := func(w http.ResponseWriter, _ *http.Request) {
		if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
			_ = c.Close()
		}
	}
	says := func(answer string) func(context.Context, net.Conn) {
		return func(_ context.Context, c net.Conn) { _, _ = io.WriteString(c, answer+"\r\n") }
	}
	hook := func(choke http.HandlerFunc, each bool) maker {
		return func(t *testing.T, in *inbound, wait post.HTTPConfig) (notify.Receiver, error) {
			return webhook.New("hook", webhook.Config{URL: secretfile.Secret(answering(t, in, choke)), PerIncident: each, HTTPConfig: wait}.WithDefaults(), id)
		}
	}
	mails := func(choke func(context.Context, net.Conn)) maker {
		return func(t *testing.T, in *inbound, wait post.HTTPConfig) (notify.Receiver, error) {
			c := mail.Config{Smarthost: filteringServer(t, in, choke), TLS: mail.TLSNone, From: "a@example.com", To: []string{"b@example.com"}, Timeout: wait.Timeout}
			made, err := mail.New(c.WithDefaults(), notify.Identity{Instance: "mon1"})
			if err != nil {
				return nil, err
			}
			return made[0], nil
		}
	}
	for name, make := range map[string]maker{
		"webhook 500": hook(status(500), false), "webhook 400": hook(status(400), false), "webhook hangs": hook(hangs, false), "webhook resets": hook(resets, false),
		"one by one 500": hook(status(500), true), "one by one hangs": hook(hangs, true),
		"mail 451": mails(says("451 4.7.1 filter: try later")), "mail 554": mails(says("554 5.7.1 spam")), "mail 421": mails(says("421 4.3.2 closing")),
		"mail hangs":  mails(func(ctx context.Context, _ net.Conn) { <-ctx.Done() }),
		"mail resets": mails(func(_ context.Context, c net.Conn) { _ = c.Close() }),
		"exec": func(t *testing.T, in *inbound, wait post.HTTPConfig) (notify.Receiver, error) {
			dir := t.TempDir()
			go follow(t, dir, in)
			c := exec.Config{Command: fleettest.Script(t, fmt.Sprintf(`f=$(mktemp %s/in.XXXXXX); cat >$f; grep -q %s $f && { rm $f; exit 1; }; mv $f $f.done`, dir, poison)), Timeout: schema.Duration(time.Minute)}
			return exec.New("page", c.WithDefaults(), id)
		},
		"alertmanager": func(t *testing.T, in *inbound, wait post.HTTPConfig) (notify.Receiver, error) {
			return alertmanager.New("am", alertmanager.Config{URLs: []string{answering(t, in, status(400))}, HTTPConfig: wait}.WithDefaults(), id, zerolog.Nop())
		},
		"pagerduty": func(t *testing.T, in *inbound, wait post.HTTPConfig) (notify.Receiver, error) {
			return pagerduty.New("pd", pagerduty.Config{URL: answering(t, in, status(400)), RoutingKey: "0123456789abcdef0123456789abcdef", HTTPConfig: wait}.WithDefaults(), id)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t)
			var in inbound
			wait := post.HTTPConfig{Timeout: schema.Duration(time.Minute)}
			if strings.HasSuffix(name, "hangs") {
				wait.Timeout = schema.Duration(2 * time.Second)
			}
			to, err := make(t, &in, wait)
			if err != nil {
				t.Fatal(err)
			}
			d := newDelivery(f.JS, Addressee{Receiver: to, Called: "mail"})
			d.timing.patience = 1
			if err := d.Create(t.Context()); err != nil {
				t.Fatal(err)
			}
			f.alert("fine-1", poison, "fine-2", "fine-3")
			run := fleettest.Start(t, d.Run)
			for i := range 3 {
				f.Until(fmt.Sprintf("fine-%d is delivered", i+1), func() bool { return in.has(fmt.Sprintf("fine-%d", i+1)) > 0 })
			}
			f.alert("fine-4")
			f.Until("the last one is delivered", func() bool { return in.has("fine-4") > 0 })
			f.Until("that one is parked", func() bool { return f.parkedNow() == 1 })
			run.Stop()
			for i := range 4 {
				if n := in.has(fmt.Sprintf("fine-%d", i+1)); n != 1 {
					t.Errorf("fine-%d was delivered %d times", i+1, n)
				}
			}
		})
	}
}

// follow reads what a script has stored, until the test ends.
func follow(t *testing.T, dir string, in *inbound) {
	for seen := []string{}; t.Context().Err() == nil; time.Sleep(10 * time.Millisecond) {
		files, _ := filepath.Glob(filepath.Join(dir, "*.done"))
		for _, file := range files {
			if b, err := os.ReadFile(file); err == nil && !slices.Contains(seen, file) {
				seen = append(seen, file)
				in.add(string(b))
			}
		}
	}
}
