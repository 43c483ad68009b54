// Package chaos breaks everything around the bridge, and the bridge itself, while
// events of known serials flow, and then compares the stream with what supervisord
// says that the bridge accepted: each event once, in order, none missing.
//
// Everything is real and in a process of its own: supervisord, the bridge,
// nats-server. Each kind of fault has a lane of its own that draws from a random
// source of its own, so that a seed gives the same faults again; how they meet in
// time is the machine's.
//
// The clock jumps for the programs, not for the machine: supervisord's Python, the
// bridge and the server add an offset to the time of day. Timers and the kernel's
// file times continue.
//
// The programs run in namespaces of their own, where that is allowed: whatever
// happens, none of them outlives the test, and neither does a mount.
package chaos

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"supernats/bridge/spool"
	"supernats/bridge/supervisord/supervisordtest"
)

var (
	kills           = flag.Int("chaos.kills", 30, "how often the bridge is killed")
	serverKills     = flag.Int("chaos.serverkills", 4, "how often the NATS server is killed")
	supervisorKills = flag.Int("chaos.supervisorkills", 2, "how often supervisord is killed")
	seed            = flag.Uint64("chaos.seed", 0, "of the faults; 0 chooses one")
	window          = flag.Duration("chaos.window", 2*time.Second,
		"the stream's duplicate window: short, so that it does not hide what is sent twice")
	jumps   = flag.Bool("chaos.clock", false, "let the programs' clocks jump (builds them with another package time)")
	limit   = flag.Duration("chaos.for", 5*time.Minute, "how long the faults may take")
	results = flag.String("chaos.results", "", "file for the figures")
)

// inside marks the process that has the namespaces to itself; "no" goes without.
const inside = "CHAOS_INSIDE"

// exitNoNamespace is the exit code of one that could not be made ready.
const exitNoNamespace = 125

func TestMain(m *testing.M) {
	flag.Parse()
	switch {
	case testing.Short(), os.Getenv(inside) == "no":
	case os.Getenv(inside) == "":
		code, err := again()
		if err == nil {
			os.Exit(code)
		}
		fmt.Println("chaos: no namespaces here, so the disk will not be filled:", err)
	default:
		err := errors.Join(
			syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""),
			syscall.Mount("proc", "/proc", "proc", 0, ""))
		if err != nil {
			fmt.Println(err)
			os.Exit(exitNoNamespace)
		}
	}
	os.Exit(m.Run())
}

// again runs this program in namespaces of its own and returns its exit code.
func again() (int, error) {
	runtime.LockOSThread() // the child dies with the thread that started it
	c := exec.Command(os.Args[0], os.Args[1:]...)
	c.Env = append(os.Environ(), inside+"=yes")
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL,
	}
	if os.Geteuid() != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	err := c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() != exitNoNamespace {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// TestChaos is the whole of it; `task chaos` runs it for long.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: needs a supervisord")
	}
	if *seed == 0 {
		*seed = rand.Uint64N(1_000_000) + 1
	}
	repeat := fmt.Sprintf("go test ./bridge/chaos -count=1 -v -run TestChaos -timeout 0 -chaos.for=%v -chaos.seed=%d -chaos.kills=%d -chaos.serverkills=%d -chaos.supervisorkills=%d -chaos.window=%v -chaos.clock=%v",
		*limit, *seed, *kills, *serverKills, *supervisorKills, *window, *jumps)
	t.Logf("to repeat: %s", repeat)
	disk := os.Getenv(inside) == "yes"
	w := newWorld(t, *window, *jumps, disk)
	if err := w.begin(); err != nil {
		t.Fatal(err)
	}

	begin := time.Now()
	err := w.faults(t.Context(), disk)
	took := time.Since(begin).Round(time.Second)
	if err != nil {
		t.Fatalf("seed %d: %v", *seed, err)
	}
	before := w.nats.messages(t.Context())
	// All is well again: what waits is stored, and supervisord stops.
	last := w.lives[len(w.lives)-1]
	last.whole = true
	if last.texts == 0 { // it was started a moment ago
		if err := w.send(1); err != nil {
			t.Fatal(err)
		}
	}
	supervisordtest.Wait(t, 3*time.Minute, func() bool {
		return w.nats.last(t.Context()) == text(last.name, last.texts-1)
	},
		"text %d of %s to be stored (seed %d)", last.texts-1, last.name, *seed)
	// What the bridge of a supervisord that was killed has left, in a slot of its own, is
	// published by the present one after a while.
	supervisordtest.Wait(t, 3*time.Minute, func() bool { return w.waiting() == 0 }, "all spools to be empty (seed %d)",
		*seed)
	if err := w.end((*supervisordtest.Supervisord).Stop); err != nil {
		t.Fatal(err)
	}
	for _, dir := range w.slots() {
		if r, err := spool.Inspect(dir); err != nil || r.Records > 0 || r.Missing > 0 || len(r.Damaged) > 0 {
			t.Errorf("seed %d: spool %s holds %+v, %v", *seed, dir, r, err)
		}
	}

	events, losses, times, err := w.nats.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(w.bridgeLog())
	if err != nil {
		t.Fatal(err)
	}
	problems, untold := compare(host, w.lives, events, losses,
		bytes.Contains(log, []byte(saidLetGo)) || bytes.Contains(log, []byte(saidMemory)))
	for line := range bytes.Lines(log) {
		if bytes.Contains(line, []byte("lost")) && !bytes.Contains(line, []byte(saidMemory)) {
			problems = append(problems, "the bridge logs "+string(bytes.TrimSpace(line)))
		}
	}
	if *jumps && !slices.ContainsFunc(times, func(at time.Time) bool {
		return at.Before(begin.Add(-time.Minute)) || at.After(time.Now().Add(time.Minute))
	}) {
		problems = append(problems, "no event tells a time of a clock that jumped")
	}
	for i, p := range problems {
		if i == 30 {
			t.Errorf("and %d more", len(problems)-i)
			break
		}
		t.Errorf("seed %d: %s", *seed, p)
	}
	report := fmt.Sprintf("%s\n\n%s, %s, supervisord %s, %d processors\n\n", repeat, runtime.Version(),
		version(t, w.nats.args[0]), version(t, "supervisord"), runtime.NumCPU())
	report += w.report(figures{took, before, len(events), losses, untold, log, problems})
	t.Logf("\n%s", report)
	if *results != "" {
		if err := os.WriteFile(*results, []byte(report), 0o644); err != nil {
			t.Error(err)
		}
	}
}

func version(t *testing.T, program string) string {
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		t.Error(err)
	}
	return strings.TrimSpace(string(out))
}

// faults lets events flow and everything break until each lane has done its part.
func (w *world) faults(ctx context.Context, disk bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, *limit, fmt.Errorf("the faults took longer than %v", *limit))
	defer cancel()
	total := time.Duration(*kills) * meanKill
	counted, ctx1 := errgroup.WithContext(ctx)
	endless, ctx2 := errgroup.WithContext(ctx1)
	ctx2, stop := context.WithCancel(ctx2)
	defer stop()
	source := func(lane uint64) dice { return dice{rand.New(rand.NewPCG(*seed, lane))} }
	counted.Go(func() error { return w.killBridges(ctx1, source(1), *kills) })
	counted.Go(func() error { return w.killServers(ctx1, source(2), *serverKills, total) })
	counted.Go(func() error { return w.killSupervisors(ctx1, source(3), *supervisorKills, total) })
	endless.Go(func() error { return w.flow(ctx2, source(4)) })
	endless.Go(func() error { return w.cutNetwork(ctx2, source(5)) })
	if disk {
		endless.Go(func() error { return w.fillDisk(ctx2, source(6)) })
	}
	if w.clock != nil {
		endless.Go(func() error { return w.moveClock(ctx2, source(7)) })
	}
	err := counted.Wait()
	stop()
	err = errors.Join(err, endless.Wait())
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return err
}

// figures are what a run measured, beside the counts of the faults.
type figures struct {
	took     time.Duration
	before   uint64 // messages in the stream when the faults ended
	events   int
	losses   []told
	untold   int
	log      []byte // the bridges'
	problems []string
}

// What the bridge reports of a full disk, and of a server that is away.
const (
	saidFull   = "spool takes no events"
	saidLetGo  = "TICK and PROCESS_LOG are dropped"
	saidMemory = "events go through memory"
	saidAway   = "events are not getting into JetStream"
)

func (w *world) report(f figures) string {
	var b strings.Builder
	line := func(name string, v any) { fmt.Fprintf(&b, "%-44s %v\n", name, v) }
	texts, accepted := 0, 0
	for _, l := range w.lives {
		texts += l.texts
		accepted += len(l.accepted)
	}
	lost := uint64(0)
	for _, t := range f.losses {
		lost += t.count
	}
	line("seed", *seed)
	line("faults for", f.took)
	line("duplicate window of the stream", *window)
	for _, what := range slices.Sorted(maps.Keys(w.did)) {
		line(what, w.did[what])
	}
	if os.Getenv(inside) != "yes" {
		line("disk filled", "never: no namespaces here")
	}
	if w.clock == nil {
		line("clock jumps", "never: -chaos.clock is not set")
	}
	said := func(what string) int { return bytes.Count(f.log, []byte(what)) }
	line("bridges that found the disk full", said(saidFull)+said(saidLetGo)+said(saidMemory))
	line("bridges that lost NATS", said(saidAway))
	line("texts sent to supervisord", texts)
	line("events accepted by the bridge", accepted)
	line("TICK, PROCESS_LOG dropped on a full disk, reported", lost)
	line("the same, killed before it was reported", f.untold)
	line("events in the stream", f.events)
	line("messages in it when the faults ended", f.before)
	line("sent again and refused by the stream", w.proxy.duplicates)
	result := "none lost, none twice, in order"
	if len(f.problems) > 0 {
		result = fmt.Sprintf("FAILED: %d problems", len(f.problems))
	}
	line("result", result)
	return b.String()
}
