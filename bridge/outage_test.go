package bridge_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/program/programtest"
	"supernats/schema/stream/streamtest"
)

// player stands in for supervisord where that would be the slowest part: it
// writes an event, works for as long as supervisord does, and waits for the answer.
type player struct {
	*exec.Cmd
	in     *os.File
	out    *bufio.Reader
	serial int
}

// supervisordWork is how long supervisord is busy with each event.
const supervisordWork = 50 * time.Microsecond

func play(b *testing.B, flags ...string) *player {
	b.Helper()
	p := &player{
		Cmd: exec.Command(program, append(flags, "--spool-dir", b.TempDir(), "--host", "bench", "--log-level", "error")...),
	}
	p.Env = append(os.Environ(), "SUPERVISOR_ENABLED=1", "SUPERVISOR_SERVER_URL=")
	p.Stderr = os.Stderr
	stdin, in, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	out, stdout, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	p.Stdin, p.Stdout, p.in, p.out = stdin, stdout, in, bufio.NewReader(out)
	if err := p.Start(); err != nil {
		b.Fatal(err)
	}
	_, _ = stdin.Close(), stdout.Close()
	// As supervisord does, the player sleeps in the kernel until the answer comes.
	_ = out.Fd()
	p.answer(b, "READY")
	b.Cleanup(func() {
		_ = in.Close()
		_ = p.Wait()
		_ = out.Close()
	})
	return p
}

func (p *player) answer(b *testing.B, want string) {
	b.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil || strings.TrimSpace(line) != want {
		b.Fatalf("answer %q, %v", line, err)
	}
}

// send sends n events and returns how long each waited for its answer, sorted.
func (p *player) send(b *testing.B, n int) []time.Duration {
	b.Helper()
	took := make([]time.Duration, n)
	for i := range took {
		payload := "processname:api_00 groupname:api pid:11167 channel:stdout\n" + strings.Repeat("x", 100)
		event := fmt.Appendf(nil, "ver:3.0 server:supervisor serial:%d pool:supernats poolserial:%d eventname:PROCESS_LOG_STDOUT len:%d\n%s", p.serial, p.serial, len(payload), payload)
		p.serial++
		begun := time.Now()
		if _, err := p.in.Write(event); err != nil {
			b.Fatal(err)
		}
		for time.Since(begun) < supervisordWork {
		}
		p.answer(b, "RESULT 2")
		p.answer(b, "OKREADY")
		took[i] = time.Since(begun)
	}
	slices.Sort(took)
	return took
}

// BenchmarkLatency is how long supervisord waits for an answer, its own work of
// 50 µs included, with NATS on the same machine: the medians of ten rounds.
func BenchmarkLatency(b *testing.B) {
	p := play(b, "--nats-url", natsServer(b))
	for b.Loop() {
		const n, rounds = 10_000, 10
		at := map[string][]float64{}
		for range rounds {
			took := p.send(b, n)
			for name, part := range map[string]float64{"p50-µs": 0.5, "p99-µs": 0.99, "p99.9-µs": 0.999} {
				at[name] = append(at[name], float64(took[int(part*n)].Microseconds()))
			}
		}
		for name, of := range at {
			b.ReportMetric(median(of), name)
		}
	}
}

// natsServer is a server in a process of its own and returns its URL.
func natsServer(b *testing.B) string {
	b.Helper()
	bin := b.TempDir()
	programtest.Build(b, bin, programtest.NATSServer)
	ports := b.TempDir()
	cmd := exec.Command(bin+"/nats-server", "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", b.TempDir(),
		"--ports_file_dir", ports)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	var written struct{ Nats []string }
	supervisordtest.Wait(b, 10*time.Second, func() bool {
		files, _ := filepath.Glob(ports + "/*")
		if len(files) == 0 {
			return false
		}
		text, err := os.ReadFile(files[0])
		return err == nil && json.Unmarshal(text, &written) == nil && len(written.Nats) > 0
	}, "the ports of nats-server")
	return written.Nats[0]
}

// BenchmarkOutage is the memory of a bridge that nothing happens to, of one over
// an outage of a million events, and of one that publishes them.
func BenchmarkOutage(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		p := play(b, "--nats-url", fmt.Sprintf("nats://127.0.0.1:%d", port))
		time.Sleep(2 * time.Second)
		b.ReportMetric(status(b, p.Process.Pid, "VmRSS"), "idle-MiB")
		p.send(b, n)
		b.ReportMetric(status(b, p.Process.Pid, "VmHWM"), "outage-peak-MiB")
		nats := streamtest.Start(b, func(o *server.Options) { o.Port = port })
		begun := time.Now()
		js := nats.JetStream()
		subject := schema.Subject{
			Host: "bench", Group: "api", Process: "api_00", Event: schema.ProcessLogStdout,
		}.String()
		supervisordtest.Wait(b, 5*time.Minute, func() bool { time.Sleep(time.Second); return pending(js, subject) >= n }, "%d events", n)
		b.ReportMetric(n/time.Since(begun).Seconds(), "drained-events/s")
		b.ReportMetric(status(b, p.Process.Pid, "VmHWM"), "drain-peak-MiB")
	}
}
