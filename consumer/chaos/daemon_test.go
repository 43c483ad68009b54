package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/consumer/notify/mail/smtptest"
	"supernats/schema"
	"supernats/schema/codec"
	"supernats/schema/stream"
)

// What the daemon logs when it has begun to work.
const (
	saidReading = "reading events"
	saidActive  = "active"
)

// logLine is what is looked at of the daemon's log.
type logLine struct{ Level, Message, Error string }

// daemon is one life of `supernats consume`.
type daemon struct {
	cmd   *exec.Cmd
	ended chan struct{}

	mu     sync.Mutex
	rest   []byte // of a line that is not whole
	log    bytes.Buffer
	onLine func(logLine)
	said   map[string]int // by message
}

// startDaemon starts one; onLine, which may be nil, sees each line that it logs.
func startDaemon(tb testing.TB, config string, onLine func(logLine)) *daemon {
	tb.Helper()
	d := &daemon{ended: make(chan struct{}), onLine: onLine, said: map[string]int{}}
	d.cmd = exec.Command(bin+"/supernats", "consume", "-c", config)
	d.cmd.Stderr = d
	if err := d.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		_ = d.cmd.Wait()
		close(d.ended)
	}()
	tb.Cleanup(func() {
		d.stop()
		if tb.Failed() {
			tb.Logf("the end of the log of consume, process %d:\n%s", d.cmd.Process.Pid, d.end())
		}
	})
	return d
}

// Write takes what the daemon logs.
func (d *daemon) Write(p []byte) (int, error) {
	d.mu.Lock()
	d.log.Write(p)
	d.rest = append(d.rest, p...)
	var lines []logLine
	for {
		line, rest, whole := bytes.Cut(d.rest, []byte("\n"))
		if !whole {
			break
		}
		d.rest = rest
		var l logLine
		if json.Unmarshal(line, &l) == nil {
			d.said[l.Message]++
			lines = append(lines, l)
		}
	}
	d.mu.Unlock()
	if d.onLine != nil {
		for _, l := range lines {
			d.onLine(l)
		}
	}
	return len(p), nil
}

func (d *daemon) end() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.log.Bytes()
	return string(b[max(0, len(b)-8<<10):])
}

func (d *daemon) has(message string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.said[message] > 0
}

// waitFor waits until the daemon has logged a message.
func (d *daemon) waitFor(tb testing.TB, message string) {
	tb.Helper()
	supervisordtest.Wait(tb, 30*time.Second, func() bool { return d.has(message) }, "%q in the log of consume", message)
}

func (d *daemon) kill() {
	_ = d.cmd.Process.Kill()
	<-d.ended
}

// stop ends the daemon as an operator does.
func (d *daemon) stop() {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.ended:
	case <-time.After(20 * time.Second):
		d.kill()
	}
}

// writeConfig writes a configuration of the daemon with one recipient and returns
// its name. inMail is more of the section mail, more are sections.
func writeConfig(tb testing.TB, natsURL string, smtp *smtptest.Server, inMail, more string) string {
	tb.Helper()
	text := fmt.Sprintf("nats: {url: %q}\nlisten: \"\"\n", natsURL)
	if smtp != nil {
		text += fmt.Sprintf("mail:\n  smarthost: %q\n  tls: none\n  from: supernats@example.com\n  to: [ops@example.com]\n%s", smtp.Addr(), inMail)
	}
	name := filepath.Join(tb.TempDir(), "supernats.yaml")
	if err := os.WriteFile(name, []byte(text+more), 0o600); err != nil {
		tb.Fatal(err)
	}
	if out, err := exec.Command(bin+"/supernats", "rules", "check", name).CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	return name
}

// noLimit lets every notification be a mail.
const noLimit = "  rate_limit: {burst: 1000000, every: 1ms}\n"

func connect(tb testing.TB, url string) jetstream.JetStream {
	tb.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		tb.Fatal(err)
	}
	return js
}

// read calls each for all that a stream holds below subject, in order.
func read(tb testing.TB, js jetstream.JetStream, name, subject string, each func(jetstream.Msg) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c, err := js.OrderedConsumer(ctx, name, jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	if err != nil {
		tb.Fatal(err)
	}
	// It would stay for minutes, and a stream has only so many.
	defer func() { _ = js.DeleteConsumer(ctx, name, c.CachedInfo().Name) }()
	for left := int(c.CachedInfo().NumPending); left > 0; {
		batch, err := c.Fetch(min(left, 5000), jetstream.FetchMaxWait(30*time.Second))
		if err != nil {
			tb.Fatal(err)
		}
		for m := range batch.Messages() {
			left--
			if err := each(m); err != nil {
				tb.Fatal(err)
			}
		}
		if batch.Error() != nil {
			tb.Fatal(batch.Error())
		}
	}
}

// settle polls now and then until done, and reports whether it was in time.
func settle(limit time.Duration, done func() bool) bool {
	for end := time.Now().Add(limit); ; time.Sleep(500 * time.Millisecond) {
		if done() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// note is a notification with the time at which the stream stored it.
type note struct {
	*schema.CloudEvent[*schema.Notification]
	stored time.Time
}

// notifications are all that the stream of alerts holds, in order.
func notifications(tb testing.TB, js jetstream.JetStream) (notes []note) {
	tb.Helper()
	read(tb, js, stream.Alerts, stream.AllAlerts, func(m jetstream.Msg) error {
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		n, err := schema.Unmarshal[*schema.Notification](m.Data())
		if err != nil {
			return err
		}
		notes = append(notes, note{n, meta.Timestamp})
		return nil
	})
	return notes
}

// crash is an unexpected exit as the stream has it.
type crash struct {
	id, process string
	read        time.Time // by the bridge
	stored      time.Time // by the stream
	reason      bool      // the event has it
}

// key is what a mail tells of it.
func (c crash) key() mailed { return mailedAt(c.process, c.read) }

// crashes are all unexpected exits of the stream, in order; lost is how many events
// are reported as lost.
func crashes(tb testing.TB, js jetstream.JetStream) (all []crash, lost uint64) {
	tb.Helper()
	read(tb, js, stream.Events, schema.EventPrefix+"*.*.*.process_state.exited", func(m jetstream.Msg) error {
		ce, err := codec.UnmarshalEvent(m.Data())
		if err != nil || !ce.Data.UnexpectedExit() {
			return err
		}
		meta, err := m.Metadata()
		if err == nil {
			all = append(all, crash{ce.ID, ce.Data.Process, ce.Time.Time, meta.Timestamp, ce.Data.Exit != nil})
		}
		return err
	})
	read(tb, js, stream.Events, schema.BridgePrefix+"*."+schema.BridgeLoss, func(m jetstream.Msg) error {
		ce, err := schema.Unmarshal[*schema.Loss](m.Data())
		if err == nil {
			lost += ce.Data.Count
		}
		return err
	})
	return all, lost
}

// openAlerts are the keys of the alerts that are not over, as their records say.
func openAlerts(tb testing.TB, js jetstream.JetStream) (open []string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	kv, err := js.KeyValue(ctx, stream.AlertsBucket)
	if err != nil {
		tb.Fatal(err)
	}
	all, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = all.Stop() }()
	for e := range all.Updates() {
		if e == nil { // that was all there is
			break
		}
		var r schema.Alert
		if err := json.Unmarshal(e.Value(), &r); err != nil {
			tb.Fatal(err)
		}
		if r.Phase != schema.PhaseResolved {
			open = append(open, e.Key())
		}
	}
	slices.Sort(open)
	return open
}

// unnotified are the crashes that are in no notification.
func unnotified(known []crash, notes []note) (list []string) {
	in := map[string]bool{}
	for _, n := range notes {
		for _, e := range n.Data.Events {
			in[e.ID] = true
		}
	}
	for _, c := range known {
		if !in[c.id] {
			list = append(list, c.id)
		}
	}
	return list
}

// alertsOf counts the alerts.
func alertsOf(notes []note) int {
	ids := map[string]bool{}
	for _, n := range notes {
		ids[n.Data.Incident] = true
	}
	return len(ids)
}

// delivered reports whether every receiver has acknowledged every notification.
func delivered(tb testing.TB, js jetstream.JetStream) bool {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := js.Stream(ctx, stream.Alerts)
	if err != nil {
		tb.Fatal(err)
	}
	list := s.ListConsumers(ctx)
	queues := 0
	for info := range list.Info() {
		if !strings.HasPrefix(info.Name, "notify") {
			continue
		}
		queues++
		if info.NumPending > 0 || info.NumAckPending > 0 {
			return false
		}
	}
	if err := list.Err(); err != nil {
		tb.Fatal(err)
	}
	return queues > 0
}
