package lease

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

func TestLeaseIsHandedOnByACleanStop(t *testing.T) {
	c := newCluster(t)
	a := c.join("a", nil)
	if i, _ := c.next(); i != a {
		t.Fatalf("%s is active", i.name)
	}
	b := c.join("b", nil)
	c.standsBy(b, "a")
	time.Sleep(2 * testTTL) // it is refreshed
	if err := a.lease.Held(); err != nil {
		t.Fatalf("a: %v\n%s", err, a.log)
	}
	handOn := func(from, to *instance) {
		t.Helper()
		from.Stop()
		next, took := c.next()
		if next != to || took > 500*time.Millisecond {
			t.Errorf("%s is active after %v", next.name, took)
		}
		t.Logf("%s is active after %v", next.name, took)
	}
	handOn(a, b)
	a = c.join("a", nil)
	c.standsBy(a, "b")
	handOn(b, a)
	if !strings.Contains(a.log.String(), `"message":"active"`) || strings.Contains(a.log.String(), "lease lost") {
		t.Errorf("log: %s", a.log)
	}
}

func TestLeaseOfADeadInstance(t *testing.T) {
	c := newCluster(t)
	a := c.join("a", nil)
	c.next()
	b, d := c.join("b", nil), c.join("c", nil)
	c.standsBy(b, "a")
	c.standsBy(d, "a")
	// Its connection is gone, and with it all that it could give back.
	a.nc.Close()
	next, took := c.next()
	if next == a || took > 2*testTTL {
		t.Errorf("%s is active after %v", next.name, took)
	}
	c.until("a knows", func() bool { return strings.Contains(a.log.String(), "lease lost: it could not be refreshed") })
	next.nc.Close()
	last, took := c.next()
	if last == a || last == next || took > 2*testTTL {
		t.Errorf("%s is active after %v", last.name, took)
	}
	t.Logf("after %v", took)
}

func TestLeaseIsLostInAPartition(t *testing.T) {
	c := newCluster(t)
	p := streamtest.NewProxy(t, c.js.Conn().ConnectedAddr())
	a := c.join("a", p.JetStream())
	c.next()
	b := c.join("b", nil)
	c.standsBy(b, "a")
	p.SetFault(streamtest.Stalled)
	if next, took := c.next(); next != b || took > 2*testTTL {
		t.Errorf("%s is active after %v", next.name, took)
	}
	if a.lease.Held() == nil {
		t.Error("a still holds it")
	}
	p.SetFault(streamtest.NoFault)
	c.standsBy(a, "b")
	time.Sleep(testTTL)
	if err := b.lease.Held(); err != nil {
		t.Errorf("b: %v\n%s", err, b.log)
	}
}

// The answers are lost, and then the connection: what was written is ours.
func TestLeaseOverABrokenConnection(t *testing.T) {
	c := newCluster(t)
	c.ttl = 8 * time.Second // a busy machine takes seconds for a new connection
	p := streamtest.NewProxy(t, c.js.Conn().ConnectedAddr())
	a := c.join("a", p.JetStream())
	c.next()
	for range 3 {
		p.SetFault(streamtest.LosesAnswers)
		revision := c.leaseRevision()
		c.until("a refresh is stored that is not answered", func() bool { return c.leaseRevision() > revision })
		p.SetFault(streamtest.NoFault)
		p.Cut()
		revision = c.leaseRevision()
		c.until("it is refreshed again", func() bool { return c.leaseRevision() > revision+1 })
	}
	if err := a.lease.Held(); err != nil || strings.Contains(a.log.String(), "lost") {
		t.Errorf("a: %v\n%s", err, a.log)
	}
}

func TestLeaseOverARestartOfTheServer(t *testing.T) {
	c := newCluster(t)
	a, b := c.join("a", nil), c.join("b", nil)
	first, _ := c.next()
	c.server.Stop()
	c.until("the holder stops", func() bool { return first.lease.Held() != nil })
	if a.lease.Held() == nil || b.lease.Held() == nil {
		t.Error("somebody holds it without a server")
	}
	c.server.Restart()
	next, took := c.next()
	t.Logf("%s after %v", next.name, took)
	// A short one changes nothing.
	c.server.Stop()
	c.server.Restart()
	revision := uint64(0)
	c.until("the server answers", func() bool {
		s, err := c.js.Stream(t.Context(), stream.OfBucket(stream.LeasesBucket))
		if err == nil {
			revision = s.CachedInfo().State.LastSeq
		}
		return err == nil
	})
	c.until("an instance continues", func() bool {
		return c.leaseRevision() > revision && (a.lease.Held() == nil) != (b.lease.Held() == nil)
	})
}

func TestLeaseThatSomebodyDeletes(t *testing.T) {
	c := newCluster(t)
	a := c.join("a", nil)
	c.next()
	if err := c.bucket().Delete(t.Context(), stream.LeaseKey); err != nil {
		t.Fatal(err)
	}
	c.next()
	if log := a.log.String(); !strings.Contains(log, "lease lost: it expired or was deleted") || strings.Count(log, `"message":"lease lost"`) != 1 {
		t.Errorf("log: %s", log)
	}
	// Somebody else's value is waited for as long as it is there.
	a.Stop()
	if _, err := c.bucket().PutString(t.Context(), stream.LeaseKey, "x"); err != nil {
		t.Fatal(err)
	}
	b := c.join("b", nil)
	c.standsBy(b, "?")
	if err := c.bucket().Delete(t.Context(), stream.LeaseKey); err != nil {
		t.Fatal(err)
	}
	if next, _ := c.next(); next != b {
		t.Errorf("%s is active", next.name)
	}
}

func TestLeaseShowsWhoHasIt(t *testing.T) {
	c := newCluster(t)
	before := time.Now().Add(-time.Second)
	a := c.join("web1.example.com", nil)
	c.next()
	e, err := c.bucket().Get(t.Context(), "consume")
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Instance string
		Since    time.Time
	}
	if err := json.Unmarshal(e.Value(), &r); err != nil || r.Instance != a.name || r.Since.Before(before) || r.Since.After(time.Now()) {
		t.Errorf("%s (%v)", e.Value(), err)
	}
	a.Stop()
	if _, err := c.bucket().Get(t.Context(), "consume"); !errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Errorf("after the stop: %v", err)
	}
}

// The work ends by itself: so does Run, and the lease is free. While the work ends
// it is not.
func TestLeaseEndsWithTheWork(t *testing.T) {
	c := newCluster(t)
	broken := errors.New("broken")
	l := New(c.js, Options{Instance: "a", Log: zerolog.Nop()})
	l.ttl, l.refresh = testTTL, testRefresh
	if err := l.Run(t.Context(), func(context.Context) error { return broken }); err != broken {
		t.Errorf("it ended with %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	begun, ended := make(chan bool), make(chan error, 1)
	go func() {
		ended <- l.Run(ctx, func(ctx context.Context) error {
			close(begun)
			<-ctx.Done()
			time.Sleep(2 * testTTL)
			return errors.Join(l.Held(), ctx.Err())
		})
	}()
	<-begun
	cancel()
	if err := <-ended; errors.Is(err, ErrLost) || !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	if l.Held() == nil {
		t.Error("it is held after the end")
	}
}

func TestLeaseNeedsTTL(t *testing.T) {
	s := streamtest.Start(t)
	js := s.JetStream()
	if err := CheckServer(t.Context(), js); err != nil {
		t.Error(err)
	}
	if _, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: stream.LeasesBucket}); err != nil {
		t.Fatal(err)
	}
	err := New(js, Options{Instance: "a", Log: zerolog.Nop()}).Run(t.Context(), func(context.Context) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "bucket supervisor_leases allows no TTL of keys") || !strings.Contains(err.Error(), "2.11") {
		t.Errorf("%v", err)
	}
	// A server that answers as those before 2.11 do.
	nc := streamtest.Start(t, func(o *server.Options) { o.JetStream = false }).JetStream().Conn()
	if _, err := nc.Subscribe("$JS.API.INFO", func(m *nats.Msg) {
		_ = m.Respond([]byte(`{"type":"io.nats.jetstream.api.v1.account_info_response","api":{"total":1,"errors":0}}`))
	}); err != nil {
		t.Fatal(err)
	}
	if js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	if err := CheckServer(t.Context(), js); err == nil || !strings.Contains(err.Error(), "nats-server 2.11 or later is needed") {
		t.Errorf("%v", err)
	}
}

const frozenEnv = "SUPERNATS_TEST_FROZEN"

// TestMain runs the other process of TestLeaseOfAFrozenInstance too.
func TestMain(m *testing.M) {
	if url := os.Getenv(frozenEnv); url != "" {
		fmt.Println(untilFrozen(url))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// untilFrozen writes lines while it has the lease.
func untilFrozen(url string) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	l := New(js, Options{Instance: "frozen", Log: zerolog.New(os.Stdout)})
	l.ttl, l.refresh = testTTL, testRefresh
	return l.Run(context.Background(), func(ctx context.Context) error {
		for ctx.Err() == nil {
			if l.Held() == nil {
				fmt.Println("write", time.Now().UnixNano())
			}
			time.Sleep(20 * time.Millisecond)
		}
		return ctx.Err()
	})
}

// A process that was stopped for longer than the TTL writes nothing when it goes
// on.
func TestLeaseOfAFrozenInstance(t *testing.T) {
	c := newCluster(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), frozenEnv+"="+c.server.URL)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	lines := make(chan string, 10_000)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	read := func(want string) (line string) {
		t.Helper()
		for end := time.After(20 * time.Second); ; {
			select {
			case line, ok := <-lines:
				if strings.Contains(line, want) {
					return line
				}
				if !ok {
					t.Fatal("it has ended")
				}
			case <-end:
				t.Fatalf("never: %s", want)
			}
		}
	}
	read("write")
	b := c.join("b", nil)
	c.standsBy(b, "frozen")
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	next, took := c.next()
	if next != b || took > 2*testTTL {
		t.Errorf("%s is active after %v", next.name, took)
	}
	taken := time.Now().UnixNano()
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for {
		line := read("")
		var at int64
		if n, _ := fmt.Sscanf(line, "write %d", &at); n == 1 && at > taken {
			t.Errorf("it wrote %v after b took over", time.Duration(at-taken))
		}
		if strings.Contains(line, "standby: host b is active") {
			break
		}
	}
	if b.lease.Held() != nil {
		t.Error("b has lost it")
	}
}
