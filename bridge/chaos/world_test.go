package chaos

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/spool"
	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/codec"
	"supernats/schema/program/programtest"
	"supernats/schema/stream"
)

const (
	host = "web1"
	// diskSize is that of the spool's file system.
	diskSize = "32m"
)

// programs are events beside ours: crashes, whose reasons the bridge looks up, and
// lines that it may drop when the disk is full. They end with supervisord.
const programs = `
[program:crasher]
command=sh -c "sleep 1.2; exit 3"

[program:chatty]
command=sh -c "while printf '进程 %%01500d\n' 0 || exit; do sleep 0.07; done"
stdout_events_enabled=true
stdout_logfile=NONE
`

// world is all that runs: real programs, each in a process of its own.
type world struct {
	ended    string // the end of the last supervisord's log
	dir      string // supervisord's
	sections string
	spool    string
	nats     *natsServer
	proxy    *proxy
	clock    []byte // the file that the programs take their clock's offset from; nil without

	quiet atomic.Bool // no texts are sent

	mu    sync.Mutex
	lives []*life
	now   *supervisordtest.Supervisord // nil between two lives
	pid   int                          // its process
	did   map[string]int               // faults, by name
}

func newWorld(t *testing.T, window time.Duration, jumps, disk bool) *world {
	t.Helper()
	w := &world{dir: supervisordtest.Dir(t), did: map[string]int{}}
	bin := t.TempDir()
	var build []string
	if jumps {
		overlay, err := clockOverlay(bin)
		if err != nil {
			t.Fatal(err)
		}
		build = append(build, "-overlay", overlay)
		if w.clock, err = clockFile(t); err != nil {
			t.Fatal(err)
		}
	}
	// The server is the nats-server of this module's requirements, the whole program.
	programtest.Build(t, bin, append(build, "supernats/bridge/cmd/supernats-bridge", programtest.NATSServer)...)
	w.spool = t.TempDir()
	if disk {
		if err := syscall.Mount("tmpfs", w.spool, "tmpfs", 0, "size="+diskSize); err != nil {
			t.Fatalf("mount tmpfs: %v", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(w.spool, syscall.MNT_DETACH) })
	}
	w.nats = startNATS(t, bin+"/nats-server", window)
	var err error
	if w.proxy, err = startProxy(w.nats.addr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.proxy.close)
	section, err := exec.Command(bin+"/supernats-bridge", "conf", "--one-section", "--stderr-logfile", w.bridgeLog(), "--host", host, "--nats-url", w.proxy.url(),
		"--spool-dir", w.spool+"/spool", "--snapshot-every", "2s").Output()
	if err != nil {
		t.Fatal(err)
	}
	w.sections = programs + string(section)
	t.Cleanup(func() {
		if w.now != nil {
			_ = w.now.Stop()
		}
		if t.Failed() {
			b, _ := os.ReadFile(w.bridgeLog())
			t.Logf("the end of the bridge's log:\n%s\nand of supervisord's:\n%s", b[max(0, len(b)-8<<10):], w.ended)
		}
	})
	return w
}

// slots are the directories of the bridges' spools.
func (w *world) slots() []string {
	slots, _ := filepath.Glob(w.spool + "/spool/slot-*")
	return append(slots, w.spool+"/spool")
}

// waiting is how many records wait in all of them.
func (w *world) waiting() (records uint64) {
	for _, dir := range w.slots() {
		if r, err := spool.Inspect(dir); err == nil {
			records += r.Records
		}
	}
	return records
}

func (w *world) bridgeLog() string { return w.dir + "/bridge.log" }

func (w *world) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.did[what]++
}

// begin starts a supervisord, whose log will tell each event.
func (w *world) begin() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &life{name: fmt.Sprintf("life%d", len(w.lives)+1)}
	if err := supervisordtest.WriteConf(w.dir, l.name, w.sections); err != nil {
		return err
	}
	name := w.dir + "/supervisord.conf"
	conf, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	conf = bytes.Replace(conf, []byte("loglevel=info"), []byte("loglevel=debug\nlogfile_maxbytes=0"), 1)
	if err := os.WriteFile(name, conf, 0o644); err != nil {
		return err
	}
	s, err := supervisordtest.Run(w.dir)
	if err != nil {
		return err
	}
	pid, err := os.ReadFile(w.dir + "/supervisord.pid")
	if err != nil {
		return errors.Join(err, s.Kill())
	}
	w.now, w.lives = s, append(w.lives, l)
	w.pid, err = strconv.Atoi(strings.TrimSpace(string(pid)))
	return err
}

// end ends the supervisord that runs and reads its log.
func (w *world) end(with func(*supervisordtest.Supervisord) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.now
	w.now = nil
	if err := with(s); err != nil {
		return err
	}
	l := w.lives[len(w.lives)-1]
	name := filepath.Join(w.dir, l.name+".log")
	if err := os.Rename(w.dir+"/supervisord.log", name); err != nil {
		return err
	}
	if b, err := os.ReadFile(name); err == nil {
		w.ended = string(b[max(0, len(b)-2<<10):])
	}
	j, err := readJournalFile(name)
	if err != nil {
		return err
	}
	l.journal = j
	return os.Remove(name)
}

// send sends the next n texts to the supervisord that runs; none if none does.
func (w *world) send(n int) error {
	w.mu.Lock()
	s := w.now
	if s == nil || n == 0 {
		w.mu.Unlock()
		return nil
	}
	l := w.lives[len(w.lives)-1]
	texts := make([]string, n)
	for i := range texts {
		texts[i] = text(l.name, l.texts+i)
	}
	l.texts += n
	w.mu.Unlock()
	err := s.SendRemote("n", texts...)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now != s {
		return nil // it was killed, and took some or all of them with it
	}
	return err
}

// bridge returns the process id of the bridge that runs, 0 if none does.
func (w *world) bridge() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now == nil {
		return 0
	}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", w.pid))
	for child := range strings.FieldsSeq(string(children)) {
		// The kernel keeps 15 bytes of the name.
		if comm, _ := os.ReadFile("/proc/" + child + "/comm"); string(comm) == "supernats-bridg\n" {
			pid, _ := strconv.Atoi(child)
			return pid
		}
	}
	return 0
}

// natsServer is a nats-server in a process of its own, on a port that it keeps.
type natsServer struct {
	addr string
	args []string
	cmd  *exec.Cmd
	js   jetstream.JetStream
}

func startNATS(t *testing.T, program string, window time.Duration) *natsServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &natsServer{addr: ln.Addr().String()}
	_, port, _ := net.SplitHostPort(s.addr)
	_ = ln.Close()
	s.args = []string{program, "-a", "127.0.0.1", "-p", port, "-js", "-sd", t.TempDir(), "-l", t.TempDir() + "/log"}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	// Ours goes past the proxy.
	nc, err := nats.Connect("nats://"+s.addr, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond),
		nats.RetryOnFailedConnect(true))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if s.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	var info *jetstream.AccountInfo
	supervisordtest.Wait(t, 20*time.Second, func() bool {
		info, err = s.js.AccountInfo(t.Context())
		return err == nil
	}, "JetStream")
	c := stream.EventsConfig(stream.DefaultLimits(), info.API.Level)
	c.Duplicates = window
	if _, err := s.js.CreateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *natsServer) start() error {
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	return s.cmd.Start()
}

func (s *natsServer) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// last returns the text that was stored last, empty if there is none.
func (s *natsServer) last(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	st, err := s.js.Stream(ctx, stream.Events)
	if err != nil {
		return ""
	}
	m, err := st.GetLastMsgForSubject(ctx, schema.Subject{
		Host: host, Event: schema.RemoteCommunication, Type: "n",
	}.String())
	if err != nil {
		return ""
	}
	ce, err := codec.UnmarshalEvent(m.Data)
	if err != nil || ce.Data.Data == nil {
		return ""
	}
	return *ce.Data.Data
}

// messages is how many the stream has.
func (s *natsServer) messages(ctx context.Context) uint64 {
	st, err := s.js.Stream(ctx, stream.Events)
	if err != nil {
		return 0
	}
	return st.CachedInfo().State.Msgs
}

// read returns all events and losses of the stream, and the times of the events.
func (s *natsServer) read(ctx context.Context) (events []entry, losses []told, times []time.Time, err error) {
	c, err := s.js.OrderedConsumer(ctx, stream.Events, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, nil, nil, err
	}
	for left := int(c.CachedInfo().NumPending); left > 0; {
		batch, err := c.Fetch(min(left, 5000), jetstream.FetchMaxWait(30*time.Second))
		if err != nil {
			return nil, nil, nil, err
		}
		for m := range batch.Messages() {
			left--
			switch {
			case strings.HasPrefix(m.Subject(), schema.EventPrefix):
				ce, err := codec.UnmarshalEvent(m.Data())
				if err != nil {
					return nil, nil, nil, err
				}
				e := ce.Data
				entry := entry{
					id: ce.ID, server: e.Server, boot: e.Boot, event: e.Event, serial: e.Serial, process: e.Process,
					from: e.FromState,
				}
				if e.Event == schema.RemoteCommunication {
					entry.text = *e.Data
				}
				events = append(events, entry)
				times = append(times, ce.Time.Time)
			case m.Subject() == schema.BridgeSubject(host, schema.BridgeLoss):
				ce, err := schema.Unmarshal[*schema.Loss](m.Data())
				if err != nil {
					return nil, nil, nil, err
				}
				l := ce.Data
				losses = append(losses, told{boot: l.Boot, cause: l.Cause, count: l.Count, events: l.Events})
			}
		}
		if batch.Error() != nil {
			return nil, nil, nil, batch.Error()
		}
	}
	return events, losses, times, nil
}

// fill takes the space of the spool's disk but for a part of it, until it is
// called again with 1.
func (w *world) fill(leave float64) error {
	name := w.spool + "/ballast"
	if leave >= 1 {
		return os.Remove(name)
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	for block := make([]byte, 64<<10); ; {
		var st syscall.Statfs_t
		if err := syscall.Statfs(w.spool, &st); err != nil {
			return err
		}
		if float64(st.Bavail) <= leave*float64(st.Blocks) {
			return nil
		}
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// clockFile makes the file that holds how many seconds the clock is off. All
// programs map it.
func clockFile(t *testing.T) ([]byte, error) {
	f, err := os.Create(t.TempDir() + "/clock")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(8); err != nil {
		return nil, err
	}
	b, err := syscall.Mmap(int(f.Fd()), 0, 8, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = syscall.Munmap(b) })
	site, err := filepath.Abs("testdata/clock")
	if err != nil {
		return nil, err
	}
	t.Setenv("CHAOS_CLOCK", f.Name())
	t.Setenv("PYTHONPATH", site)
	t.Setenv("PYTHONDONTWRITEBYTECODE", "1")
	return b, nil
}

func (w *world) jump(offset time.Duration) {
	binary.NativeEndian.PutUint64(w.clock, uint64(offset/time.Second))
}

// clockOverlay writes an overlay of the standard library for go build: a package
// time whose Now adds an offset. It is what a program sees of a clock that was
// set; timers and the monotonic clock continue.
func clockOverlay(dir string) (string, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	src := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	now, err := os.ReadFile(filepath.Join(src, "time.go"))
	if err != nil {
		return "", err
	}
	const from = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if bytes.Count(now, []byte(from)) != 1 {
		return "", fmt.Errorf("%s/time.go is not what is known here: find a new place for the offset", src)
	}
	now = bytes.Replace(now, []byte(from), []byte(from+"\tsec += chaosSeconds()\n"), 1)
	if err := os.WriteFile(dir+"/time.go", now, 0o644); err != nil {
		return "", err
	}
	offset, err := filepath.Abs("testdata/clock/clock.go")
	if err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(src, "time.go"):  dir + "/time.go",
		filepath.Join(src, "chaos.go"): offset,
	}})
	if err != nil {
		return "", err
	}
	return dir + "/overlay.json", os.WriteFile(dir+"/overlay.json", overlay, 0o644)
}
