package chaos

import (
	"syscall"
	"testing"
	"time"

	"supernats/bridge/supervisord/supervisordtest"
)

// An outage three times as long as the stream's duplicate window, under load, with
// the bridge killed in its middle and the answers to what was sent last lost: no
// duplicate in the stream, and nothing missing.
func TestOutage(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: needs a supervisord")
	}
	const window = time.Second
	w := newWorld(t, window, false, false)
	if err := w.begin(); err != nil {
		t.Fatal(err)
	}
	send := func(n int) {
		t.Helper()
		if err := w.send(n); err != nil {
			t.Fatal(err)
		}
	}
	life := w.lives[0]
	stored := func() {
		t.Helper()
		supervisordtest.Wait(t, time.Minute, func() bool {
			return w.nats.last(t.Context()) == text(life.name, life.texts-1)
		},
			"text %d to be stored", life.texts-1)
	}
	send(1000)
	stored()
	w.proxy.set(deaf)
	send(700)
	stored()
	begun := time.Now()
	w.proxy.set(refuse)
	send(1000)
	time.Sleep(3 * window / 2)
	killed := w.bridge()
	if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	supervisordtest.Wait(t, 10*time.Second, func() bool { pid := w.bridge(); return pid != 0 && pid != killed },
		"another bridge")
	send(1000)
	time.Sleep(time.Until(begun.Add(3*window + window/10)))
	w.proxy.set(none)
	send(1000)
	stored()
	life.whole = true
	if err := w.end((*supervisordtest.Supervisord).Stop); err != nil {
		t.Fatal(err)
	}
	events, losses, _, err := w.nats.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	problems, _ := compare(host, w.lives, events, losses, false)
	for _, p := range problems {
		t.Error(p)
	}
	if len(losses) > 0 {
		t.Errorf("losses are reported: %+v", losses)
	}
	t.Logf("%d texts, %d events in the stream, %d refused as duplicates", life.texts, len(events), w.proxy.duplicates)
}
