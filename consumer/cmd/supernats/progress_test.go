package main

import (
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/clipperhouse/displaywidth"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/natsconn/natsconntest"
	"supernats/schema/program"
	"supernats/schema/stream"
)

// slowLink has the installation reached over a link of so many bytes a second, so that
// little takes long.
func (i *installation) slowLink(perSecond int) {
	i.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		i.Fatal(err)
	}
	i.Cleanup(func() { l.Close() })
	target := strings.TrimPrefix(i.url, "nats://")
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				continue
			}
			go func() { _, _ = io.Copy(server, client); server.Close() }()
			go func() {
				defer client.Close()
				for {
					if _, err := io.CopyN(client, server, int64(perSecond/20)); err != nil {
						return
					}
					time.Sleep(time.Second / 20)
				}
			}()
		}
	}()
	i.url = "nats://" + l.Addr().String()
}

// crashing stores so many crashes.
func (i *installation) crashing(n int) {
	i.Helper()
	e := &schema.Event{
		Host: "web1", Event: schema.ProcessStateExited, Server: "supervisor", Boot: "4f0c6d1e2a90b7c3",
		Group: "api", Process: "api_00", FromState: "RUNNING", Expected: new(false),
	}
	for k := range n {
		e.Serial = uint64(k + 1)
		payload, err := schema.Marshal(e.Envelope(i.at(k % 3600)))
		if err != nil {
			i.Fatal(err)
		}
		if _, err := i.js.PublishAsync(e.Subject(), payload, jetstream.WithStallWait(time.Minute)); err != nil {
			i.Fatal(err)
		}
	}
	<-i.js.PublishAsyncComplete()
}

// frames are what was drawn on the last line of a screen, one over the other.
func frames(written string) (list []string) {
	for frame := range strings.SplitSeq(written, "\r\x1b[K") {
		if line, _, isLast := strings.Cut(frame, "\n"); line != "" && !isLast {
			list = append(list, line)
		}
	}
	return list
}

var progressFrame = regexp.MustCompile(`^[a-z.]+: \d{1,3} %( \[#*\.*\])?(, \d+ of \d+)?(, \d+ a second)?(, \d+[smh]+[0-9ms]* left)?$`)

// isProgress checks the frames of a bar on a screen that is so wide, which must be gone
// at the end.
func isProgress(t *testing.T, written, what string, width int) {
	t.Helper()
	n := 0
	for _, f := range frames(written) {
		if !strings.HasPrefix(f, what+": ") {
			continue
		}
		n++
		if !progressFrame.MatchString(f) {
			t.Errorf("%q is no bar", f)
		}
		if w := displaywidth.String(f); w >= width {
			t.Errorf("%q has %d columns on a screen of %d", f, w, width)
		}
	}
	if n < 2 {
		t.Errorf("%d frames of %s in %q", n, what, written)
	}
}

func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.crashing(1500)
	direct := i.js
	i.slowLink(1 << 20)
	rules := i.TempDir() + "/r.yaml"
	if err := os.WriteFile(rules, []byte("rules:\n  - {name: exits, event: PROCESS_STATE_EXITED, expected: false}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		args []string
	}{
		{what: "replay", args: []string{"replay", "--publish", "again"}},
		{what: "r.yaml", args: []string{"rules", "backtest", rules}},
	} {
		for _, width := range []int{40, 80, 200} {
			written := i.written(width, nil, c.args...)
			isProgress(t, written, c.what, width)
			if screen := shownLast(written); strings.Contains(screen, "%") {
				t.Errorf("the bar is left on\n%s", screen)
			}
		}
	}
	if s, err := direct.Stream(t.Context(), stream.Events); err != nil || s.CachedInfo().State.Msgs != 1500 {
		t.Errorf("%v", err)
	}

	// A dumb terminal cannot draw over a line, and what it prints is progress enough.
	if written := i.written(80, []string{"TERM=dumb"}, "rules", "backtest", rules); strings.ContainsRune(written, '\x1b') {
		t.Errorf("%q", written)
	}
	if written := i.written(80, nil, "replay"); strings.Contains(written, "replay: ") {
		t.Errorf("%q", frames(written))
	}
}

// A daemon says how far the rebuild is, with its log above that.
func TestProgressOfARebuild(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.crashing(3000)
	i.handled(3000)
	i.slowLink(1 << 20)
	w := i.watch(80, nil, "consume", "--rebuild", "-c", i.quietDaemon())
	was := w.modes()
	w.shows("rebuild: ", "of 3000")
	w.shows("states are rebuilt")
	if screen := w.text(); strings.Contains(screen, "rebuild: ") || strings.Contains(screen, "of 3000") {
		t.Errorf("the bar is left on\n%s", screen)
	}
	w.interrupt()
	w.ends(was)
}

// Control-C ends a rebuild at once, which is no error.
func TestRebuildInterrupted(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.crashing(3000)
	i.handled(3000)
	i.slowLink(256 << 10)
	w := i.watch(80, nil, "consume", "--rebuild", "-c", i.quietDaemon())
	was := w.modes()
	w.shows("rebuild: ", "of 3000")
	w.interrupt()
	if screen := w.ends(was); strings.Contains(screen, "states are rebuilt") || strings.Contains(screen, "rebuild: ") {
		t.Error(screen)
	}
}

// handled has the daemon's consumer acknowledge so many events.
func (i *installation) handled(n int) {
	i.Helper()
	c := i.durable(stream.Events, stream.EventsConsumer)
	for n > 0 {
		batch, err := c.Fetch(min(n, 500))
		if err != nil {
			i.Fatal(err)
		}
		var last jetstream.Msg
		for m := range batch.Messages() {
			last = m
			n--
		}
		if last == nil {
			i.Fatalf("%d events are missing: %v", n, batch.Error())
		}
		if err := last.DoubleAck(i.Context()); err != nil {
			i.Fatal(err)
		}
	}
}

// quietDaemon is a configuration file without a listening address.
func (i *installation) quietDaemon() string {
	return natsconntest.File(i.T, "quiet.yaml", "listen: ''\n")
}

// Into a pipe or a file there is a line now and then, and only if it takes long.
func TestProgressElsewhere(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.eventsAt(0, 6*time.Second, 12*time.Second)
	out, errs, code := supernats(t, "replay", "--speed", "1", "-o", "jsonl", "--nats-url", i.url)
	if code != program.ExitDone || strings.Count(out, "\n") != 3 {
		t.Errorf("%d %s", code, out)
	}
	if !regexp.MustCompile(`^supernats: replay: 66 %, 2 of 3, \d+s left\n$`).MatchString(errs) {
		t.Errorf("%q", errs)
	}
	if _, errs, _ := supernats(t, "replay", "-o", "jsonl", "--nats-url", i.url); errs != "" {
		t.Errorf("%q", errs)
	}
}
