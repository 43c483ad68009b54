package bridge

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"supernats/schema"
	"supernats/schema/natsconn"
	"supernats/schema/stream/streamtest"
)

// Without a directory for the spool events reach the stream through memory, and the
// bridge says so in its first record.
func TestEventsWithoutDisk(t *testing.T) {
	t.Parallel()
	server := streamtest.Start(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := goodConfig()
	cfg.SpoolDir, cfg.NATS = filepath.Join(file, "spool"), natsconn.Settings{URL: server.URL}
	cfg.StartedTogether = true
	b := startBridge(t, cfg)
	const events = 50
	begun := time.Now()
	for serial := 1; serial <= events; serial++ {
		b.event(serial)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if got, _ := inStream(t, server, "web1"); len(got) == events {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the events do not arrive")
		}
	}
	t.Logf("all are stored after %v", time.Since(begun))
	if st := b.journal.Spool().Stats(); st.Err != nil || st.Disk == nil {
		t.Errorf("%+v", st)
	}
	msg, err := server.JetStream().Stream(t.Context(), "SUPERVISOR")
	if err != nil {
		t.Fatal(err)
	}
	last, err := msg.GetLastMsgForSubject(t.Context(), schema.BridgeSubject("web1", schema.BridgeStarted))
	if err != nil {
		t.Fatal(err)
	}
	ce, err := schema.Unmarshal[*schema.Bridge](last.Data)
	if err != nil || ce.Data.Spool != schema.SpoolMemory || ce.Data.Instance == "" {
		t.Errorf("%v\n%s", err, last.Data)
	}

	// The cause is gone: the disk is used, and no event was lost or reported as lost.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); b.journal.Spool().Dir() == ""; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the spool is not opened")
		}
	}
	b.event(events + 1)
	b.end()
	next := startBridge(t, cfg)
	next.event(events + 2)
	next.end()
	if got, lost := inStream(t, server, "web1"); len(got) != events+2 || len(lost) > 0 {
		t.Errorf("%d events are stored, %v reported as lost", len(got), lost)
	}
}
