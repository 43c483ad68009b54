package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/lease"
	"supernats/schema"
	"supernats/schema/natsconn"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// readyz returns what /readyz answers.
func (in *installation) readyz() (code int, text string) {
	w := httptest.NewRecorder()
	in.webServer().Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	return w.Code, w.Body.String()
}

func (in *installation) isReady() {
	in.Helper()
	in.Until("it is ready again", func() bool {
		code, _ := in.readyz()
		return code == http.StatusOK
	})
}

// isNotReady waits until /readyz says why.
func (in *installation) isNotReady(why ...string) {
	in.Helper()
	in.Until("not ready: "+strings.Join(why, ", "), func() bool {
		code, text := in.readyz()
		for _, w := range why {
			if code != http.StatusServiceUnavailable || !strings.Contains(text, w) {
				return false
			}
		}
		return true
	})
}

// A server that refuses our credentials for some seconds and takes them again, or others
// that were put into our file meanwhile.
func TestCredentialsRefusedForAWhile(t *testing.T) {
	for _, c := range []struct {
		name string
		// begin and end are the password that the server wants, file is what is in our
		// file at the end.
		begin, end, file string
	}{
		{name: "the same", begin: "one", end: "one", file: "one"},
		{name: "new ones", begin: "one", end: "two", file: "two"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			password := c.begin
			users := func(o *server.Options) { o.Users = []*server.User{{Username: "app", Password: password}} }
			file := filepath.Join(t.TempDir(), "password")
			write := func(text string) {
				t.Helper()
				if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write(c.begin)
			in := installOn(t, streamtest.Start(t, users), natsconn.Settings{User: "app", PasswordFile: file})
			in.crashes("before")
			in.isNotified("before")

			in.Server.Stop()
			password = "refused"
			in.Server.Change(users)
			in.Server.Restart()
			in.isNotReady("NATS is not connected", "Authorization Violation", "credentials")
			time.Sleep(3 * time.Second) // two refusals close the connection
			in.Server.Stop()
			password = c.end
			in.Server.Change(users)
			write(c.file)
			in.Server.Restart()

			in.isReady()
			in.JS = connectAs(t, in.Server.URL, "app", c.end)
			in.crashes("after")
			in.isNotified("after")
			if n := in.hook.notified("before"); n != 1 {
				t.Errorf("what was notified before is notified %d times", n)
			}
		})
	}
}

// NATS that is away is named in /readyz and in the log, once.
func TestNATSIsAway(t *testing.T) {
	in := install(t)
	in.crashes("before")
	in.isNotified("before")
	in.Server.Stop()
	in.isNotReady("NATS is not connected", "is nats-server running")
	const away = "NATS is not connected: "
	in.Until("the log names it", func() bool { return strings.Contains(in.log.String(), away) })
	time.Sleep(2 * time.Second) // in which it may say it again
	if n := strings.Count(in.log.String(), away); n != 1 {
		t.Errorf("the log says it %d times:\n%s", n, in.log)
	}
	if log := in.log.String(); strings.Contains(log, "deadline exceeded") || strings.Contains(log, "timeout") {
		t.Errorf("the log has timeouts that are none:\n%s", log)
	}
	in.Server.Restart()
	in.isReady()
	in.crashes("after")
	in.isNotified("after")
}

// A stop is prompt also while NATS is away, whether for a moment or for longer than the
// lease lasts.
func TestStopWhileNATSIsAway(t *testing.T) {
	for _, away := range []time.Duration{0, 300 * time.Millisecond, lease.DefaultTTL + time.Second} {
		t.Run(away.String(), func(t *testing.T) {
			t.Parallel()
			in := install(t)
			in.crashes("before")
			in.isNotified("before")
			in.Server.Stop()
			time.Sleep(away)
			begun := time.Now()
			in.Stop()
			if took := time.Since(begun); took > 4*time.Second {
				t.Errorf("it took %v\n%s", took, in.log)
			}
		})
	}
}

// A paused consumer is said as paused, with its end; it is nobody else's to resume it,
// and what waited is notified after it without a restart.
func TestPausedConsumer(t *testing.T) {
	for streamName, durable := range map[string]string{
		stream.Events: stream.EventsConsumer, stream.Alerts: stream.ReceiverConsumer("hook"),
	} {
		t.Run(durable, func(t *testing.T) {
			t.Parallel()
			in := install(t)
			in.crashes("before")
			in.isNotified("before")
			if _, err := in.JS.PauseConsumer(t.Context(), streamName, durable, time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			in.isNotReady("consumer "+durable+" of stream "+streamName+" is paused until ",
				"nats consumer resume "+streamName+" "+durable)
			in.crashes("meanwhile")
			time.Sleep(4 * time.Second) // longer than what was sent may be on its way
			if n := in.hook.notified("meanwhile"); n != 0 {
				t.Errorf("it was resumed by us")
			}
			if _, err := in.JS.ResumeConsumer(t.Context(), streamName, durable); err != nil {
				t.Fatal(err)
			}
			in.isNotified("meanwhile")
			in.isReady()
			in.shows("meanwhile", "EXITED")
		})
	}
}

// What cannot be created again is said, and is created when it can be.
func TestMissingAndNotCreatable(t *testing.T) {
	in := install(t)
	in.crashes("before")
	in.isNotified("before")
	// Another stream takes the subjects of the one that is missing.
	if err := in.JS.DeleteStream(t.Context(), stream.Parked); err != nil {
		t.Fatal(err)
	}
	other := jetstream.StreamConfig{
		Name: "OTHER", Subjects: []string{"supervisor.parked.>"}, Storage: jetstream.MemoryStorage,
	}
	created := false
	in.Until("somebody else's stream is faster", func() bool {
		if _, err := in.JS.CreateStream(t.Context(), other); err == nil {
			created = true
			return true
		}
		return in.JS.DeleteStream(t.Context(), stream.Parked) != nil && created
	})
	in.isNotReady("SUPERVISOR_PARKED", "cannot be created again")
	in.crashes("meanwhile") // needs it not
	in.isNotified("meanwhile")
	if err := in.JS.DeleteStream(t.Context(), "OTHER"); err != nil {
		t.Fatal(err)
	}
	in.isReady()
}

// probeOf begins the names of processes by which a test sees that a silence is known.
func probeOf(mute string) string { return "probe_" + mute + "_" }

// isFollowed waits until the daemon knows a silence: nobody is notified of the crash of a
// probe.
func (in *installation) isFollowed(mute string) {
	in.Helper()
	n := 0
	in.Until("silence "+mute+" is known", func() bool {
		n++
		probe := fmt.Sprint(probeOf(mute), n)
		in.crashes(probe)

		var a schema.Alert
		in.Until("it is decided who is notified of "+probe, func() bool {
			key := schema.AlertKey("exit", "web1", "api", probe)
			if e, err := in.Bucket(stream.AlertsBucket).Get(in.Context(), key); err == nil {
				in.Unmarshal(e.Value(), &a)
			}
			return a.Muted > 0 || in.hook.notified(probe) > 0
		})
		return a.Muted > 0
	})
}

// Silences that vanish with their bucket are known, and stored again until they expire;
// those that somebody ended do not come back with a backup.
func TestSilencesComeBack(t *testing.T) {
	for name, vanish := range map[string]func(in *installation, backup func()) error{
		"delete": func(in *installation, _ func()) error {
			return in.JS.DeleteStream(in.Context(), "KV_"+stream.MutesBucket)
		},
		"purge": func(in *installation, _ func()) error {
			s, err := in.JS.Stream(in.Context(), "KV_"+stream.MutesBucket)
			if err != nil {
				return err
			}
			return s.Purge(in.Context())
		},
		"backup": func(_ *installation, backup func()) error { backup(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := install(t)
			mute := func(id string) {
				t.Helper()
				now := time.Now()
				m := schema.Mute{
					ID: id, Processes: []string{id, probeOf(id) + "*"}, Comment: "test", Author: "me",
					Created: schema.Time{Time: now}, Expires: schema.Time{Time: now.Add(time.Hour)},
				}
				kv, lasts := in.Bucket(stream.MutesBucket), jetstream.KeyTTL(time.Hour)
				if _, err := kv.Create(t.Context(), id, []byte(in.JSON(m)), lasts); err != nil {
					t.Fatal(err)
				}
			}
			mute("ended")
			in.Server.Stop()
			backup := in.Server.Backup()
			in.Server.Restart()
			in.Until("the server is back", func() bool {
				_, err := in.JS.AccountInfo(t.Context())
				return err == nil
			})
			if err := in.Bucket(stream.MutesBucket).Delete(t.Context(), "ended"); err != nil {
				t.Fatal(err)
			}
			mute("kept")
			in.crashes("first")
			in.isNotified("first")
			in.isFollowed("kept")

			err := vanish(in, func() {
				in.Server.Stop()
				in.Server.Restore(backup, "KV_"+stream.MutesBucket)
				in.Server.Restart()
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if t.Failed() {
					t.Log(in.log)
				}
			}()
			in.Until("the silence is stored again", func() bool {
				kv, err := in.JS.KeyValue(t.Context(), stream.MutesBucket)
				if err != nil {
					return false
				}
				_, err = kv.Get(t.Context(), "kept")
				_, gone := kv.Get(t.Context(), "ended")
				return err == nil && gone != nil
			})
			in.crashes("kept")
			in.crashes("ended")
			in.isNotified("ended")
			time.Sleep(200 * time.Millisecond)
			if n := in.hook.notified("kept"); n != 0 {
				t.Errorf("what is silenced is notified %d times", n)
			}
			mute("later")
			in.isFollowed("later")
			in.crashes("later")
			in.crashes("last")
			in.isNotified("last")
			if n := in.hook.notified("later"); n != 0 {
				t.Errorf("a silence that is made afterwards is not followed")
			}
		})
	}
}
