package app

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"

	"supernats/consumer/fleettest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// isFailed waits for a failure with a reason, and checks that no ping says that all is well
// while it lasts.
func (p *pings) isFailed(reason string) {
	p.Helper()
	p.await("a failure: "+reason, reason)
	if n := p.count(3 * time.Second); n > 0 {
		p.Errorf("%d pings say that all is well, and it is not: %s", n, reason)
	}
}

// Events that wait for too long to be read are a reason to fail, though nothing else is
// wrong: somebody has made the consumer wait for the acknowledgement of each event.
func TestWatchdogFollowsTheLag(t *testing.T) {
	t.Parallel()
	f := fleettest.New(t)
	p := newPings(t)
	d := readyDaemon(t, loadText(t, p.section(f, newWebhooks(t).serve("hook"))), func(o *Options) { o.lateAfter = 3 * time.Second })
	p.await("the first ping", `"status":"ok"`)

	events, err := f.JS.Stream(t.Context(), stream.Events)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := events.Consumer(t.Context(), stream.EventsConsumer)
	if err != nil {
		t.Fatal(err)
	}
	set := func(maxAckPending int) {
		t.Helper()
		c := consumer.CachedInfo().Config
		c.MaxAckPending = maxAckPending
		if _, err := events.UpdateConsumer(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	before := consumer.CachedInfo().Config.MaxAckPending
	set(1)
	for range 2000 {
		f.Publish(f.Event("PROCESS_STATE_RUNNING"))
	}
	p.isFailed("events are read late")
	if failures := d.health.Failures(); len(failures) > 0 {
		t.Errorf("something else is wrong: %+v", failures)
	}
	set(before)
	p.await("a ping once all is read", `"status":"ok"`)
}

// A consumer that somebody has paused reads nothing.
func TestWatchdogOfAPausedConsumer(t *testing.T) {
	t.Parallel()
	f := fleettest.New(t)
	p := newPings(t)
	readyDaemon(t, loadText(t, p.section(f, newWebhooks(t).serve("hook"))))
	p.await("the first ping", `"status":"ok"`)

	if _, err := f.JS.PauseConsumer(t.Context(), stream.Events, stream.EventsConsumer, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	p.isFailed("is paused until")
	if _, err := f.JS.ResumeConsumer(t.Context(), stream.Events, stream.EventsConsumer); err != nil {
		t.Fatal(err)
	}
	p.await("a ping once it is resumed", `"status":"ok"`)
}

// A disk without room for the embedded server's store is a reason to fail.
func TestWatchdogOfAFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=48m"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	p := newPings(t)
	cfg := loadText(t, "data_dir: '"+dir+"'\nlisten: ''\n"+
		"watchdog: [{name: switch, url: '"+p.url+"', every: 1s}]\n"+
		"receivers: [{name: hook, webhook: {url: '"+newWebhooks(t).serve("hook")+"'}}]\n")
	cfg.Embedded.Listen, cfg.Embedded.MaxStore = "127.0.0.1:0", 16<<20
	readyDaemon(t, cfg)
	p.await("the first ping", `"status":"ok"`)

	file, err := os.Create(dir + "/fills")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for block := bytes.Repeat([]byte{1}, 4096); ; {
		if _, err := file.Write(block); errors.Is(err, syscall.ENOSPC) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	p.isFailed("no space left on device")
	if err := file.Truncate(0); err != nil {
		t.Fatal(err)
	}
	p.await("a ping once there is room", `"status":"ok"`)
}

// An account that may only read can record nothing, and has no lease for long: it is silent
// then, as one that stands by.
func TestWatchdogOfAnAccountThatMayOnlyRead(t *testing.T) {
	t.Parallel()
	may := func(publish *server.SubjectPermission) func(*server.Options) {
		return func(o *server.Options) {
			o.Users = []*server.User{
				{Username: "all", Password: "all"},
				{Username: "daemon", Password: "daemon", Permissions: &server.Permissions{Publish: publish}},
			}
		}
	}
	s := streamtest.Start(t, may(nil))
	f := fleettest.On(t, s, connectAs(t, s.URL, "all", "all"))
	p := newPings(t)
	text := strings.Replace(p.section(f, newWebhooks(t).serve("hook")), s.URL, as("daemon", s.URL), 1)
	d := readyDaemon(t, loadText(t, text))
	p.await("the first ping", `"status":"ok"`)

	restart := func(publish *server.SubjectPermission) {
		t.Helper()
		s.Stop()
		s.Change(may(publish))
		s.Restart()
		f.Until("the server is back", func() bool {
			_, err := f.JS.AccountInfo(t.Context())
			return err == nil
		})
	}
	restart(&server.SubjectPermission{Deny: []string{"$KV.>", "supervisor.>"}})
	f.Publish(f.Crash())
	f.Until("the lease is lost", func() bool { return strings.Contains(d.log.String(), "lease lost") })
	p.count(time.Second) // one that had begun may still come
	if n := p.count(5 * time.Second); n > 0 {
		t.Errorf("%d pings say that all is well, and nothing can be written", n)
	}
	restart(nil)
	p.await("a ping once it may write", `"status":"ok"`)
}
