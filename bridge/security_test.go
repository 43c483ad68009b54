package bridge_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema/natsconn"
	"supernats/schema/natsconn/natsconntest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// With each way to be known to a server events arrive. With the wrong credentials
// the bridge stays up and says once what is wrong, and no secrets.
func TestSecurity(t *testing.T) {
	for name, w := range natsconntest.Ways(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits most of the time
			s := streamtest.Start(t, w.Serve)
			w.Right.URL = s.URL
			supervisordtest.Start(t, conf(t, append(natsconntest.Flags(w.Right), "--host", "web1")...))
			waitStored(t, jetStream(t, w.Right), stream.AllEvents, 1)
			for name, c := range w.Wrong {
				c.URL = s.URL
				troubles := refused(t, c.Settings)
				if len(troubles) != 1 || !strings.Contains(strings.ToLower(troubles[0]), c.Why) ||
					!strings.Contains(troubles[0], "--nats-") {
					t.Errorf("%s: it says\n%s", name, strings.Join(troubles, ""))
				}
			}
		})
	}
}

// A key that is not there yet is waited for.
func TestKeyComesLater(t *testing.T) {
	t.Parallel()
	public, seed := natsconntest.Nkey(t)
	s := streamtest.Start(t, func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: public}} })
	right := natsconn.Settings{URL: s.URL, NkeyFile: seed}
	later := natsconn.Settings{URL: s.URL, NkeyFile: filepath.Join(t.TempDir(), "later.nk")}
	super := supervisordtest.Start(t, conf(t, append(natsconntest.Flags(later), "--host", "web1")...))
	text := "--nats-nkey " + later.NkeyFile + ": no such file or directory"
	supervisordtest.Wait(t, 20*time.Second, func() bool {
		logs, _ := filepath.Glob(super.Dir + "/supernats-stderr*")
		b, err := os.ReadFile(strings.Join(logs, ""))
		return err == nil && strings.Contains(string(b), text)
	}, "%q in the log", text)
	if err := os.Rename(seed, later.NkeyFile); err != nil {
		t.Fatal(err)
	}
	right.NkeyFile = later.NkeyFile
	waitStored(t, jetStream(t, right), stream.AllEvents, 1)
}

func jetStream(t *testing.T, s natsconn.Settings) jetstream.JetStream {
	t.Helper()
	nc, err := s.Connect("test", nats.RetryOnFailedConnect(false))
	if err != nil {
		t.Fatal(err)
	}
	return streamtest.On(t, nc)
}

// refused runs a bridge without a supervisord for some seconds and returns what it
// says of its connection.
func refused(t *testing.T, s natsconn.Settings) (troubles []string) {
	t.Helper()
	c := exec.Command(program, append(natsconntest.Flags(s), "--host", "web1", "--spool-dir", t.TempDir())...)
	var log bytes.Buffer
	c.Stderr = &log
	in, err := c.StdinPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(4 * time.Second)
	_ = in.Close()
	if err := c.Wait(); err != nil {
		t.Errorf("it ended with %v:\n%s", err, &log)
	}
	for l := range strings.Lines(log.String()) {
		// Of the publisher: a line of the board of troubles names its cause.
		if strings.Contains(l, `"fix"`) && !strings.Contains(l, `"cause"`) {
			troubles = append(troubles, l)
		}
	}
	return troubles
}
