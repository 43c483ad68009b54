package trouble

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"supernats/schema"
)

// trouble records: when, since the beginning, and what.
type reported struct {
	at      time.Duration
	subject string
	over    bool
}

// troublesIn runs troubles in a bubble, and returns what they publish and log.
func troublesIn(t *testing.T, attached bool) (list *Board, published func() []reported, logged func() string) {
	t.Helper()
	var got []reported
	var log bytes.Buffer
	begun := time.Now()
	list = New(Config{
		Log: zerolog.New(&log), Metrics: prometheus.NewRegistry(), Warnings: []string{"xmlrpc"},
		Encode: func(tr schema.Trouble, at time.Time) (*nats.Msg, error) {
			return &nats.Msg{Subject: tr.Cause + ": " + tr.Text + " (" + tr.Fix + ")", Reply: fmt.Sprint(tr.Over)}, nil
		},
	})
	publish := func(key string, m *nats.Msg) {
		if !strings.HasPrefix(key, "trouble/") {
			t.Errorf("key %q", key)
		}
		got = append(got, reported{time.Since(begun), m.Subject, m.Reply == "true"})
	}
	if attached {
		list.Attach(publish, false)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		list.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return list, func() []reported {
			synctest.Wait()
			list.mu.Lock()
			defer list.mu.Unlock()
			defer func() { got = nil }()
			return got
		}, func() string {
			list.mu.Lock()
			defer list.mu.Unlock()
			defer log.Reset()
			return log.String()
		}
}

func TestTroubleReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, published, logged := troublesIn(t, true)
		const full = "disk-full: no room (make some)"
		for range 1000 {
			list.Raise("disk-full", "no room", "make some")
		}
		if diff := cmp.Diff([]reported{{0, full, false}}, published(), allowReported); diff != "" {
			t.Errorf("raised (-want +got):\n%s", diff)
		}
		if log := logged(); strings.Count(log, "\n") != 1 ||
			!strings.Contains(log, `"level":"error","cause":"disk-full","fix":"make some","message":"no room"`) {
			t.Errorf("logged %s", log)
		}
		// It is repeated while it lasts, and not logged again.
		time.Sleep(2*time.Hour + time.Second)
		if diff := cmp.Diff([]reported{{time.Hour, full, false}, {2 * time.Hour, full, false}}, published(),
			allowReported); diff != "" {
			t.Errorf("lasting (-want +got):\n%s", diff)
		}
		if log := logged(); log != "" {
			t.Errorf("logged %s", log)
		}
		if got := list.Lasting(); len(got) != 1 || got[0].Cause != "disk-full" ||
			time.Since(got[0].Since.Time) != 2*time.Hour+time.Second {
			t.Errorf("lasting are %v", got)
		}
		for range 1000 {
			list.Clear("disk-full")
		}
		if diff := cmp.Diff([]reported{{2*time.Hour + time.Second, full, true}}, published(), allowReported); diff != "" {
			t.Errorf("cleared (-want +got):\n%s", diff)
		}
		if log := logged(); strings.Count(log, "\n") != 1 || !strings.Contains(log, `"message":"trouble is over"`) {
			t.Errorf("logged %s", log)
		}
		time.Sleep(24 * time.Hour)
		if got, lasting := published(), list.Lasting(); len(got)+len(lasting) != 0 {
			t.Errorf("after its end %v, %v", got, lasting)
		}
	})
}

var allowReported = cmp.AllowUnexported(reported{})

// What was raised before there is a publisher is published with it, and what ended
// before is not.
func TestTroubleBeforePublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, _, _ := troublesIn(t, false)
		list.Raise("listen", "address in use", "")
		list.Raise("spool-locked", "locked", "")
		time.Sleep(3 * time.Hour)
		list.Clear("spool-locked")
		var got []string
		list.Attach(func(_ string, m *nats.Msg) { got = append(got, m.Subject) }, false)
		list.Attach(func(string, *nats.Msg) { t.Error("published early") }, true) // too late
		list.Raise("clock", "slow", "")
		if diff := cmp.Diff([]string{"listen: address in use ()", "clock: slow ()"}, got); diff != "" {
			t.Errorf("published (-want +got):\n%s", diff)
		}
	})
}

// After a reconnect what lasts is published again, but not with each of many.
func TestTroubleAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, published, logged := troublesIn(t, true)
		list.Raise("xmlrpc", "no answer", "")
		list.Raise("gone", "gone", "")
		list.Clear("gone")
		published()
		time.Sleep(5 * time.Minute)
		list.Repeat()
		if diff := cmp.Diff([]reported{{5 * time.Minute, "xmlrpc: no answer ()", false}}, published(), allowReported); diff != "" {
			t.Errorf("reconnected (-want +got):\n%s", diff)
		}
		for range 600 {
			list.Repeat()
			time.Sleep(time.Second)
		}
		if n := len(published()); n < 9 || n > 10 {
			t.Errorf("%d records in ten minutes of reconnects", n)
		}
		if strings.Contains(logged()[1:], "xmlrpc\",\"fix\":\"\",\"message\":\"no answer\"}\n{\"level\":\"warn\"") {
			t.Error("logged more than once")
		}
	})
}

// One that comes and goes is reported at once, then seldom, and counted.
func TestTroubleFlaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, published, logged := troublesIn(t, true)
		const day = 24 * time.Hour
		begun := time.Now()
		for time.Since(begun) < day {
			list.Raise("disk-full", "no room", "")
			time.Sleep(100 * time.Millisecond)
			list.Clear("disk-full")
			time.Sleep(900 * time.Millisecond)
		}
		got := published()
		if len(got) < 3 || len(got) > 40 || got[0].over || got[0].at != 0 {
			t.Errorf("%d records in a day of flaps: %v", len(got), got[:min(len(got), 10)])
		}
		if n := strings.Count(logged(), "\n"); n > 20 {
			t.Errorf("%d lines in the log", n)
		}
		if n := testutil.ToFloat64(list.raised.WithLabelValues("disk-full")); n != day.Seconds() {
			t.Errorf("counted %v", n)
		}

		// The worst rhythm: it comes back as soon as it was reported as over.
		begun = time.Now()
		records := 0
		for time.Since(begun) < day {
			list.Raise("disk-full", "no room", "")
			list.Clear("disk-full")
			for over := false; !over; {
				time.Sleep(time.Second)
				for _, r := range published() {
					records++
					over = over || r.over
				}
			}
		}
		if most := 2*int(day/maxHold) + 10; records > most {
			t.Errorf("%d records in a day, want %d at most", records, most)
		}
		time.Sleep(2 * calm)
		list.Raise("disk-full", "no room", "")
		list.Clear("disk-full")
		if got := published(); len(got) != 2 || got[0].over || !got[1].over {
			t.Errorf("after a calm %v", got)
		}
	})
}

// Another text is reported too, once a minute at most.
func TestTroubleText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, published, logged := troublesIn(t, true)
		for i := range 300 {
			list.Raise("disk-full", fmt.Sprintf("%d bytes are left", i), "")
			time.Sleep(time.Second)
		}
		if got := published(); len(got) < 4 || len(got) > 6 ||
			got[1].subject != "disk-full: 60 bytes are left ()" && got[1].subject != "disk-full: 59 bytes are left ()" {
			t.Errorf("published %v", got)
		}
		if n := strings.Count(logged(), "\n"); n > 6 {
			t.Errorf("%d lines in the log", n)
		}
	})
}

func TestTroubleBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, published, _ := troublesIn(t, true)
		for i := range 1000 {
			list.Raise(fmt.Sprint("cause-", i), strings.Repeat("é\xff", 10000), strings.Repeat("日", 10000))
		}
		if n := len(list.Lasting()); n != maxCauses+1 {
			t.Errorf("%d causes are kept", n)
		}
		for _, x := range list.Lasting() {
			if len(x.Text) > maxText+3 || len(x.Fix) > maxText+3 || strings.ToValidUTF8(x.Text, "") != x.Text {
				t.Errorf("text of %d bytes", len(x.Text))
			}
		}
		if n := len(published()); n != maxCauses+1 {
			t.Errorf("%d records", n)
		}
		list.Clear("never raised")
		if n := len(published()); n != 0 {
			t.Errorf("%d records", n)
		}
	})
}

// The gauge of a trouble that is over is 0.
func TestTroubleMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, _, _ := troublesIn(t, false)
		for _, cause := range []string{"a", "b"} {
			list.Raise(cause, "text", "")
		}
		list.Clear("b")
		for cause, want := range map[string]float64{"a": 1, "b": 0} {
			if got := testutil.ToFloat64(list.gauge.WithLabelValues(cause)); got != want {
				t.Errorf("%s is %v, want %v", cause, got, want)
			}
		}
	})
}
