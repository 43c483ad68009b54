package bridge_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/schematest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

const troubleSubject = "supervisor.bridge.web1.trouble"

// troubles is what the stream holds of troubles of a cause.
func troublesOf(tb testing.TB, js jetstream.JetStream, cause string) (list []*schema.Trouble) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return nil
	}
	// Without a consumer: it is asked for often.
	for seq := uint64(1); ; seq++ {
		m, err := s.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(troubleSubject))
		if err != nil {
			return list
		}
		seq = m.Sequence
		schematest.ValidateDocument(tb, "bridge", m.Data)
		ce, err := schema.Unmarshal[*schema.Trouble](m.Data)
		if err != nil {
			tb.Fatal(err)
		}
		if ce.Data.Cause == cause {
			list = append(list, ce.Data)
		}
	}
}

// waitTrouble waits for a record of a trouble, and returns it.
func waitTrouble(tb testing.TB, js jetstream.JetStream, cause string, over bool) *schema.Trouble {
	tb.Helper()
	var last *schema.Trouble
	supervisordtest.Wait(tb, 30*time.Second, func() bool {
		list := troublesOf(tb, js, cause)
		if len(list) == 0 {
			return false
		}
		last = list[len(list)-1]
		return last.Over == over
	}, "a trouble %s, over: %v", cause, over)
	return last
}

func ready(tb testing.TB, address string) (code int, text string) {
	tb.Helper()
	return get(tb, "http://"+address+"/readyz")
}

// A bridge that has no spool, no XML-RPC and no right section works nevertheless, and
// reports that where NATS is reachable, in /readyz and in its metrics; and that it is over.
func TestTroubleIsPublished(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	js := nats.JetStream()
	if _, err := js.CreateStream(context.Background(), stream.EventsConfig(stream.DefaultLimits(), 1)); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	spool := filepath.Join(t.TempDir(), "spool")
	if err := os.WriteFile(spool, nil, 0o600); err != nil { // a file, where root may write too
		t.Fatal(err)
	}
	section := conf(t, "--nats-url", nats.URL, "--host", "web1", "--listen", address, "--spool-dir", spool,
		"--server-url", "unix:///no/such/socket")
	section = strings.NewReplacer("buffer_size=65536", "buffer_size=11", "events=EVENT",
		"events=PROCESS_STATE,REMOTE_COMMUNICATION").Replace(section)
	s := supervisordtest.Start(t, section)

	got := waitTrouble(t, js, "spool-unusable", false)
	if got.Host != "web1" || got.Pool != "supernats" || !strings.Contains(got.Text, spool) ||
		!strings.Contains(got.Fix, "--spool-dir") {
		t.Errorf("trouble is %+v", got)
	}
	if code, text := ready(t, address); code != http.StatusOK ||
		!strings.Contains(text, "trouble: spool-unusable since ") {
		t.Errorf("readyz: %d %s", code, text)
	}
	waitValue(t, address, `supernats_bridge_trouble{cause="spool-unusable"}`, 1)
	if out := s.MustCtl(t, "status", "supernats"); !strings.Contains(out, "RUNNING") {
		t.Errorf("status: %s", out)
	}

	if err := os.Remove(spool); err != nil {
		t.Fatal(err)
	}
	waitTrouble(t, js, "spool-unusable", true)
	waitValue(t, address, `supernats_bridge_trouble{cause="spool-unusable"}`, 0)
	if got := waitTrouble(t, js, "section", false); !strings.Contains(got.Text, "buffer_size is 11") ||
		!strings.Contains(got.Text, "TICK_60") || !strings.Contains(got.Fix, "buffer_size=65536") {
		t.Errorf("trouble is %+v", got)
	}
	if err := s.SendRemote("hello", "x"); err != nil {
		t.Fatal(err)
	}
	waitTrouble(t, js, "xmlrpc", false)
	if code, text := ready(t, address); code != http.StatusOK || !strings.Contains(text, "trouble: section since ") ||
		!strings.Contains(text, "trouble: xmlrpc since ") {
		t.Errorf("readyz: %d %s", code, text)
	}

	// After the record that says that it started, each that lasts stands once more.
	started := waitStored(t, js, schema.BridgeSubject("web1", schema.BridgeStarted), 1)[0]
	ce, err := schema.Unmarshal[*schema.Bridge](started.Data())
	if err != nil {
		t.Fatal(err)
	}
	own := ce.Data.Section
	if own == nil || own.BufferSize != 11 || own.Priority != -17 ||
		fmt.Sprint(own.Events) != "[PROCESS_STATE REMOTE_COMMUNICATION]" ||
		own.File != filepath.Join(s.Dir, "supervisord.conf") {
		t.Errorf("the section is %+v", own)
	}
	supervisordtest.Wait(t, 30*time.Second, func() bool {
		return slices.ContainsFunc(troublesOf(t, js, "section"), func(tr *schema.Trouble) bool {
			return tr.Server == "supervisor"
		})
	}, "the trouble of a bridge that has started")
}

// An address in use is reported, and when it is free.
func TestTroubleListen(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, js := startWeb1(t, "", "--listen", l.Addr().String())
	if got := waitTrouble(t, js, "listen", false); !strings.Contains(got.Text, l.Addr().String()) {
		t.Errorf("trouble is %+v", got)
	}
	l.Close()
	first := waitTrouble(t, js, "listen", true)
	if n := len(troublesOf(t, js, "listen")); n > 3 { // one more after the start
		t.Errorf("%d records", n)
	}
	if first.Since.IsZero() {
		t.Errorf("trouble is %+v", first)
	}
}

// What lasts is published again to a stream that is another one.
func TestTroubleAfterReconnect(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	js := nats.JetStream()
	supervisordtest.Start(t, conf(t, "--nats-url", nats.URL, "--host", "web1", "--server-url", "unix:///no/such/socket"))
	waitTrouble(t, js, "xmlrpc", false)
	before := len(troublesOf(t, js, "xmlrpc"))
	if err := js.DeleteStream(context.Background(), stream.Events); err != nil {
		t.Fatal(err)
	}
	nats.Stop()
	nats.Restart()
	// Within a minute of the first one it waits for that.
	supervisordtest.Wait(t, 90*time.Second, func() bool { return len(troublesOf(t, js, "xmlrpc")) > 0 },
		"the trouble again (%d before)", before)
}
