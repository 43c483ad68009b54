package bridge_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/procfs"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/codec"
	"supernats/schema/stream/streamtest"
)

// Each round is a burst for each of the contenders in turn.
const (
	rateBurst  = 5_000
	rateRounds = 10
)

// contender is a listener under a supervisord of its own. A burst returns how
// many seconds were between its first event and its last.
type contender struct {
	name  string
	burst func() float64
}

// BenchmarkAnswer compares how fast a real supervisord gets rid of 50,000 events:
// with supernats-bridge (its spool on disk, JetStream on the same machine), with
// a listener in C that answers at once, and with one in Python on
// supervisor.childutils. They take turns, burst by burst, so that a noisy machine
// is noisy for all of them; the ratio is the median of those of the rounds. The
// bridge's processor time is that of its whole life.
func BenchmarkAnswer(b *testing.B) {
	c := filepath.Join(b.TempDir(), "listener")
	if out, err := exec.Command("gcc", "-O2", "-o", c, "testdata/listener.c").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	py, err := filepath.Abs("testdata/listener.py")
	if err != nil {
		b.Fatal(err)
	}
	bridge, supervisord := ours(b)
	contenders := []contender{bridge, other(b, "C", c), other(b, "Python", "/usr/bin/python3 "+py)}
	for b.Loop() {
		rates := map[string][]float64{}
		ratios := map[string][]float64{}
		for range rateRounds {
			for _, c := range contenders {
				rate := (rateBurst - 1) / c.burst()
				rates[c.name] = append(rates[c.name], rate)
				if c.name != bridgeName {
					of := rates[bridgeName]
					ratios[c.name] = append(ratios[c.name], of[len(of)-1]/rate)
				}
			}
		}
		pid := supervisord.ProcessID(b, "supernats")
		b.ReportMetric(cpuOf(b, pid).Seconds()*1e6/(rateBurst*rateRounds), "CPU-µs/event")
		b.ReportMetric(status(b, pid, "VmHWM"), "peak-MiB")
		for name, r := range rates {
			b.ReportMetric(median(r), name+"-events/s")
		}
		for name, r := range ratios {
			b.Logf("%s/%s in each round: %.2f", bridgeName, name, r)
			b.ReportMetric(median(r), bridgeName+"/"+name)
		}
	}
}

const bridgeName = "bridge"

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

// other is a listener that writes into a file how long each burst took.
func other(b *testing.B, name, command string) contender {
	result := filepath.Join(b.TempDir(), "result")
	s := supervisordtest.Start(b, fmt.Sprintf(`
[eventlistener:measured]
command=%s %d %s
events=EVENT
buffer_size=65536
startsecs=0
stdout_logfile=NONE
`, command, rateBurst, result))
	return contender{name, func() (seconds float64) {
		_ = os.Remove(result)
		sendBurst(b, s)
		supervisordtest.Wait(b, time.Minute, func() bool {
			text, _ := os.ReadFile(result)
			var err error
			seconds, err = strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
			return err == nil
		}, "the result of %s", command)
		return seconds
	}}
}

// ours is supernats-bridge. It is measured by the time that stands in the events.
func ours(b *testing.B) (contender, *supervisordtest.Supervisord) {
	nats := streamtest.Start(b)
	s := supervisordtest.Start(b, conf(b, "--nats-url", nats.URL, "--host", "bench"))
	js := nats.JetStream()
	subject := schema.Subject{Host: "bench", Event: schema.RemoteCommunication, Type: "burst"}.String()
	sent := 0
	return contender{bridgeName, func() float64 {
		sendBurst(b, s)
		sent += rateBurst
		time.Sleep(300 * time.Millisecond) // asking costs what is measured
		msgs := waitStored(b, js, subject, sent)
		return at(b, msgs[sent-1]).Sub(at(b, msgs[sent-rateBurst])).Seconds()
	}}, s
}

// cpuOf is the processor time that a process has used so far.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	p, err := procfs.NewProc(pid)
	if err != nil {
		b.Fatal(err)
	}
	stat, err := p.Stat()
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(stat.CPUTime() * float64(time.Second))
}

// status is a line of /proc/PID/status in MiB.
func status(b *testing.B, pid int, name string) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), name+":")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		b.Fatal(err)
	}
	return float64(kib) / 1024
}

// at is when an event was read from supervisord.
func at(b testing.TB, m jetstream.Msg) time.Time {
	b.Helper()
	e, err := codec.UnmarshalEvent(m.Data())
	if err != nil {
		b.Fatal(err)
	}
	return e.Time.Time
}

func sendBurst(b *testing.B, s *supervisordtest.Supervisord) {
	b.Helper()
	data := slices.Repeat([]string{strings.Repeat("x", 200)}, rateBurst)
	if err := s.SendRemote("burst", data...); err != nil {
		b.Fatal(err)
	}
}
