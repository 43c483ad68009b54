package mail

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/notify/mail/smtptest"
	"supernats/schema"
)

// stages are those at which a server can leave a client waiting. Two of them
// smtptest cannot do inside TLS.
var stages = []struct {
	name  string
	stage smtptest.Stage
	plain bool
}{
	{name: "greeting", stage: smtptest.Greeting, plain: false},
	{name: "drip", stage: smtptest.Drip, plain: true},
	{name: "hello", stage: smtptest.Hello, plain: false},
	{name: "sender", stage: smtptest.Sender, plain: false},
	{name: "recipient", stage: smtptest.Recipient, plain: false},
	{name: "before data", stage: smtptest.BeforeData, plain: true},
	{name: "in data", stage: smtptest.InData, plain: false},
	{name: "after data", stage: smtptest.AfterData, plain: false},
}

var modes = []struct {
	mode  string
	offer smtptest.Security
}{{mode: TLSNone, offer: smtptest.None}, {mode: TLSStartTLS, offer: smtptest.StartTLS}, {mode: TLSImplicit, offer: smtptest.Implicit}}

// atEachStage runs a test against servers that stall, at every stage of every mode.
func atEachStage(t *testing.T, test func(t *testing.T, mode string, stalling smtptest.Options)) {
	for _, m := range modes {
		for _, st := range stages {
			if st.plain && m.mode != TLSNone {
				continue
			}
			t.Run(m.mode+"/"+st.name, func(t *testing.T) {
				t.Parallel()
				test(t, m.mode, smtptest.Options{Security: m.offer, Behaviour: smtptest.Behaviour{Stall: st.stage}})
			})
		}
	}
}

// runOut notifies with a short time limit, and again with longer ones until the
// dialogue has come as far as it should: on a loaded machine 300 ms may be over
// before the server was asked anything. It checks that each try ends in time.
func runOut(t *testing.T, c Config, n *notification, far func(error) bool, change ...func(*Receiver)) error {
	t.Helper()
	for timeout := short; ; timeout *= 2 {
		c.Timeout = schema.Duration(timeout)
		r := receiver(t, c)
		for _, f := range change {
			f(r)
		}
		start := time.Now()
		err := r.Notify(t.Context(), batch(n))
		if took := time.Since(start); took > timeout+slack {
			t.Errorf("took %s with a time limit of %s", took, timeout)
		}
		retryable(t, err, "no answer in time", c.Timeout.String(), c.Smarthost, ops, "; check ")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("no DeadlineExceeded: %v", err)
		}
		if far(err) {
			return err
		}
		if timeout > 30*time.Second {
			t.Fatalf("the dialogue never came that far: %v", err)
		}
	}
}

// TestStall lets the server stall at every stage. The whole must be over within
// the time limit, and be worth another try.
func TestStall(t *testing.T) {
	atEachStage(t, func(t *testing.T, mode string, stalling smtptest.Options) {
		reached := make(chan smtptest.Stage, 10)
		stalling.OnStall = func(st smtptest.Stage) { reached <- st }
		s := serve(t, stalling)
		runOut(t, config(t, s, mode), firing(), func(error) bool { return len(reached) > 0 })
	})
}

// TestStallWhileWriting sends a mail that does not fit into the buffers of the
// connection: what waits is the writing, not the reading of an answer.
func TestStallWhileWriting(t *testing.T) {
	s := serve(t, smtptest.Options{Behaviour: smtptest.Behaviour{Stall: smtptest.InData}})
	// The text and the HTML of each are some 600 bytes: 6 MB.
	n := firing(func(a *schema.Notification) { a.Events = slices.Repeat(a.Events, 10_000) })
	runOut(t, config(t, s, TLSNone), n, func(err error) bool {
		return strings.Contains(err.Error(), "sending message content")
	}, func(r *Receiver) {
		r.server.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if err == nil {
				err = conn.(*net.TCPConn).SetWriteBuffer(4096)
			}
			return conn, err
		}
	})
}

// TestCancel ends the context once the server stalls: Notify must not wait for
// a time limit that is far away.
func TestCancel(t *testing.T) {
	atEachStage(t, func(t *testing.T, mode string, stalling smtptest.Options) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stalling.OnStall = func(smtptest.Stage) { cancel() }
		s := serve(t, stalling)
		c := config(t, s, mode)
		c.Timeout = schema.Duration(time.Hour)
		err := receiver(t, c).Notify(ctx, batch(firing()))
		retryable(t, err, "cancelled", s.Addr(), ops)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("no Canceled: %v", err)
		}
	})
}

// TestAcceptedIsSent: the server has the mail and then does not say goodbye. An
// error here would send it twice.
func TestAcceptedIsSent(t *testing.T) {
	for name, change := range map[string]func(*smtptest.Options){
		"stalls": func(o *smtptest.Options) { o.Behaviour.Stall = smtptest.Quit },
		"late":   func(o *smtptest.Options) { o.Behaviour.Delay = 100 * time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			var o smtptest.Options
			change(&o)
			s := serve(t, o)
			c := config(t, s, TLSNone)
			c.Timeout = schema.Duration(time.Hour)
			start := time.Now()
			if err := receiver(t, c).Notify(t.Context(), batch(firing())); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took > quitTimeout+slack {
				t.Errorf("took %s", took)
			}
			one(t, s)
		})
	}
}

// TestBrokenOff: the server goes away with the text and without an answer.
func TestBrokenOff(t *testing.T) {
	for _, st := range stages {
		t.Run(st.name, func(t *testing.T) {
			stalled := make(chan struct{}, 10)
			s := serve(t, smtptest.Options{
				Behaviour: smtptest.Behaviour{Stall: st.stage},
				OnStall:   func(smtptest.Stage) { stalled <- struct{}{} },
			})
			closed := make(chan error, 1)
			go func() {
				<-stalled
				closed <- s.Close()
			}()
			retryable(t, receiver(t, config(t, s, TLSNone)).Notify(t.Context(), batch(firing())), s.Addr(), ops)
			if err := <-closed; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestHints: the two mistakes that look like a dead server.
func TestHints(t *testing.T) {
	connected := func(err error) bool { return !strings.Contains(err.Error(), "no connection") }
	t.Run("starttls to a port of implicit TLS", func(t *testing.T) {
		s := serve(t, smtptest.Options{Security: smtptest.Implicit})
		err := runOut(t, config(t, s, TLSStartTLS), firing(), connected)
		mustContain(t, err.Error(), "does not greet", "implicit where TLS comes first")
	})
	t.Run("implicit TLS to a silent port", func(t *testing.T) {
		s := serve(t, smtptest.Options{Behaviour: smtptest.Behaviour{Stall: smtptest.Greeting}})
		err := runOut(t, config(t, s, TLSImplicit), firing(), connected)
		mustContain(t, err.Error(), "does not begin with TLS", "starttls where")
	})
	t.Run("no route", func(t *testing.T) {
		r := receiver(t, Config{Smarthost: "mail.example.com:25", From: from, To: []string{ops}, Timeout: schema.Duration(time.Millisecond)})
		r.server.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		retryable(t, r.Notify(t.Context(), batch(firing())), "no answer in time", "no connection", "firewall")
	})
}

// TestFlood is a server that answers without end: neither the time limit nor the
// memory is used up.
func TestFlood(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		for err == nil {
			_, err = fmt.Fprintf(c, "220-%s\r\n", strings.Repeat("x", 1000))
		}
	}()
	c := Config{Smarthost: l.Addr().String(), TLS: TLSNone, From: from, To: []string{ops}, Timeout: schema.Duration(time.Hour)}
	retryable(t, receiver(t, c).Notify(t.Context(), batch(firing())), "without end", ops)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	<-served
}

// A big mail has more time than a small one: what it takes on a slow line is no fault
// of the server.
func TestTimeoutGrowsWithTheMail(t *testing.T) {
	r := receiver(t, Config{Smarthost: "mail.example.com:25", From: from, To: []string{ops}, Timeout: schema.Duration(10 * time.Second)})
	for size, want := range map[int64]time.Duration{
		0: 10 * time.Second, 5_000: 10 * time.Second, 200_000: 13 * time.Second, 2_000_000: 40 * time.Second,
	} {
		if got := r.server.timeoutFor(size); got != want {
			t.Errorf("%d bytes: %v", size, got)
		}
	}
}

// What comes before the text would be the same for any other mail.
func TestOutages(t *testing.T) {
	for name, c := range map[string]struct {
		behaviour smtptest.Behaviour
		outage    bool
	}{
		"sender":          {behaviour: smtptest.Behaviour{Sender: smtptest.Answer{Code: 452, Text: "4.3.1 too big for now"}}, outage: false},
		"recipient":       {behaviour: smtptest.Behaviour{Recipients: map[string]smtptest.Answer{ops: {Code: 450, Text: "4.2.0 greylisted"}}}, outage: true},
		"no such mailbox": {behaviour: smtptest.Behaviour{Recipients: map[string]smtptest.Answer{ops: {Code: 550, Text: "5.1.1 no such user"}}}, outage: true},
		"text":            {behaviour: smtptest.Behaviour{Data: smtptest.Answer{Code: 451, Text: "4.7.1 try later"}}, outage: false},
		"greeting":        {behaviour: smtptest.Behaviour{Stall: smtptest.Greeting}, outage: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, smtptest.Options{Behaviour: c.behaviour})
			cfg := config(t, s, TLSNone)
			if c.behaviour.Stall != smtptest.Nowhere {
				cfg.Timeout = schema.Duration(short)
			}
			err := receiver(t, cfg).Notify(t.Context(), []*notification{firing()})
			if err == nil || notify.IsOutage(err) != c.outage {
				t.Errorf("outage %v: %v", notify.IsOutage(err), err)
			}
		})
	}
}
