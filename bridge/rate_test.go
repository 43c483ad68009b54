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

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/stream/streamtest"
)

const (
	rateEvents = 50_000
	rateRounds = 3
)

// BenchmarkAnswer compares how fast a real supervisord gets rid of its events:
// with supernats-bridge (its spool on disk, JetStream on the same machine), with
// a listener in C that answers at once, and with one in Python on
// supervisor.childutils. The three take turns, so that a noisy machine is noisy
// for all of them; the figures are medians and their ratios.
func BenchmarkAnswer(b *testing.B) {
	c := filepath.Join(b.TempDir(), "listener")
	if out, err := exec.Command("gcc", "-O2", "-o", c, "testdata/listener.c").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	py, err := filepath.Abs("testdata/listener.py")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		rates := map[string][]float64{}
		for range rateRounds {
			for _, name := range []string{"c", "bridge", "python"} {
				switch name {
				case "c":
					rates[name] = append(rates[name], rateOf(b, c))
				case "python":
					rates[name] = append(rates[name], rateOf(b, "/usr/bin/python3 "+py))
				case "bridge":
					rates[name] = append(rates[name], rateOfBridge(b))
				}
			}
		}
		median := func(name string) float64 {
			slices.Sort(rates[name])
			return rates[name][len(rates[name])/2]
		}
		b.ReportMetric(median("c"), "C-events/s")
		b.ReportMetric(median("bridge"), "bridge-events/s")
		b.ReportMetric(median("python"), "Python-events/s")

		b.ReportMetric(median("bridge")/median("c"), "bridge/C")
		b.ReportMetric(median("bridge")/median("python"), "bridge/Python")

	}
}

// rateOf measures a listener that writes how long it took.
func rateOf(b *testing.B, command string) float64 {
	result := filepath.Join(b.TempDir(), "result")
	s := supervisordtest.Start(b, fmt.Sprintf(`
[eventlistener:measured]
command=%s %d %s
events=EVENT
buffer_size=65536
startsecs=0
stdout_logfile=NONE
`, command, rateEvents, result))
	sendBurst(b, s)
	var seconds float64
	supervisordtest.Wait(b, time.Minute, func() bool {
		text, _ := os.ReadFile(result)
		var err error
		seconds, err = strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
		return err == nil
	}, "the result of %s", command)
	if err := s.Stop(); err != nil {
		b.Fatal(err)
	}
	return (rateEvents - 1) / seconds
}

// rateOfBridge measures ours by the time that stands in the events.
func rateOfBridge(b *testing.B) float64 {
	nats := streamtest.Start(b)
	defer nats.Stop()
	s := supervisordtest.Start(b, conf(b, "--nats-url", nats.URL, "--host", "bench"))
	js := nats.JetStream()
	sendBurst(b, s)
	msgs := waitStored(b, js, schema.Subject{Host: "bench", Event: schema.RemoteCommunication, Type: "burst"}.String(), rateEvents)
	first, err := schema.UnmarshalEvent(msgs[0].Data())
	if err != nil {
		b.Fatal(err)
	}
	last, err := schema.UnmarshalEvent(msgs[len(msgs)-1].Data())
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		b.Fatal(err)
	}
	return (rateEvents - 1) / last.Time.Sub(first.Time.Time).Seconds()
}

func sendBurst(b *testing.B, s *supervisordtest.Supervisord) {
	b.Helper()
	text := strings.Repeat("x", 200)
	data := slices.Repeat([]string{text}, rateEvents)
	if err := s.SendRemote("burst", data...); err != nil {
		b.Fatal(err)
	}
}
