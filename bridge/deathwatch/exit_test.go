package deathwatch

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// nobody is the process of no program.
func nobody(t *testing.T) *Watch {
	t.Helper()
	w, _ := start(t, func(c *Config) { c.Parent, c.NoConnector = 1<<30, true })
	return w
}

func (w *Watch) ended(pid int, name Name, code int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.table.end(&process{
		pid: pid, fd: -1, name: name, died: now, started: now.Add(-time.Second), status: unix.WaitStatus(code << 8),
		known: true,
	})
}

// A name is read from the variables of a process, and its end is found by it.
func TestExitNamed(t *testing.T) {
	each(t, func(t *testing.T, mode func(*Config)) {
		w, _ := start(t, mode)
		needExits(t, w)
		w.Look()
		pid, reap := child(t, "sleep 0.2; exit 4", "SUPERVISOR_PROCESS_NAME=app", "SUPERVISOR_GROUP_NAME=g")
		wait(t, "the name", func() bool {
			w.Look()
			w.FindNames()
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.table.alive[pid] == nil || w.table.alive[pid].name == app
		})
		reap()
		if exit, ok := w.ExitNamed(app, true, nil); !ok || exit.Status.ExitStatus() == 0 {
			t.Errorf("%+v %v", exit, ok)
		}
		if _, ok := w.ExitNamed(app, true, nil); ok {
			t.Error("an end is taken twice")
		}
	})
}

// What dies before its name can be read is found by elimination, if there is no doubt.
func TestElimination(t *testing.T) {
	needConnector(t)
	w, _ := start(t)
	end := func(code int) { _ = exec.Command("sh", "-c", "exit "+strconv.Itoa(code)).Run() }
	end(3)
	end(3)
	for range 2 {
		if exit, ok := w.ExitNamed(app, true, nil); !ok || exit.Status.ExitStatus() != 3 {
			t.Errorf("%+v %v", exit, ok)
		}
	}
	end(3)
	end(4)
	if exit, ok := w.ExitNamed(app, true, nil); ok {
		t.Errorf("%+v of two that differ", exit)
	}
	w.Gap()
	end(5)
	if exit, ok := w.ExitNamed(app, false, []Name{{Group: "g", Process: "other"}}); ok {
		t.Errorf("%+v may be that of another program", exit)
	}
	if exit, ok := w.ExitNamed(app, false, nil); !ok || exit.Status.ExitStatus() != 5 {
		t.Errorf("after a gap: %+v %v", exit, ok)
	}
}

// Ends of one name come in their order; one whose event was lost is not taken for the
// next one.
func TestOrder(t *testing.T) {
	w := nobody(t)
	w.ended(10, app, 1)
	w.ended(11, Name{Group: "g", Process: "other"}, 9)
	w.ended(12, app, 2)
	for _, code := range []int{1, 2} {
		if exit, ok := w.ExitNamed(app, true, nil); !ok || exit.Status.ExitStatus() != code {
			t.Errorf("%+v %v instead of %d", exit, ok, code)
		}
	}

	w.ended(13, app, 3) // nobody has heard of it
	w.ended(14, app, 4)
	if exit, ok := w.Exit(14, app); !ok || exit.Status.ExitStatus() != 4 {
		t.Errorf("%+v %v", exit, ok)
	}
	if exit, ok := w.ExitNamed(app, true, nil); ok {
		t.Errorf("%+v is of an event before", exit)
	}

	w.ended(15, app, 5)
	w.Gap()
	if exit, ok := w.ExitNamed(app, true, nil); ok {
		t.Errorf("%+v though events were lost", exit)
	}
	if exit, ok := w.Exit(15, app); !ok || exit.Status.ExitStatus() != 5 {
		t.Errorf("by its number: %+v %v", exit, ok)
	}
}

// What dies at once is found by its place among the starts.
func TestPlace(t *testing.T) {
	w := nobody(t)
	other := Name{Group: "g", Process: "other"}
	end := func(fork int, name Name, code int) {
		w.ended(fork, name, code)
		w.table.ends.order[len(w.table.ends.order)-1].fork = fork
	}
	named := func(what string, name Name, certain bool, code int) {
		t.Helper()
		exit, ok := w.ExitNamed(name, certain, nil)
		if ok != (code != 0) || exit.Status.ExitStatus() != code {
			t.Errorf("%s: %+v %v instead of %d", what, exit, ok, code)
		}
	}

	w.Starting(other)
	end(7, Name{}, 1)
	w.Exit(7, other)
	w.Starting(app)
	end(8, Name{}, 2)
	end(9, Name{}, 3)
	named("next to another", app, true, 2)

	w.Starting(Name{Group: "g", Process: "unsure"})
	w.Starting(app)
	end(10, Name{}, 4)
	named("after one that may have had no process", app, true, 0)
	w.Starting(other)
	end(11, Name{}, 5)
	w.Exit(11, other)
	named("between two, and the one before had a process", app, true, 4)

	w.Starting(Name{Group: "g", Process: "without"})
	w.Starting(app)
	end(12, Name{}, 6)
	w.Starting(other)
	end(13, Name{}, 7)
	w.Exit(13, other)
	named("between two, and the one before had none", app, true, 0)
	w.Gap()
	named("after a gap", app, true, 0)
}

// A number that was used again is not guessed.
func TestNumberUsedAgain(t *testing.T) {
	w := nobody(t)
	w.ended(10, Name{}, 1)
	w.ended(10, Name{}, 2)
	if exit, ok := w.Exit(10, app); ok {
		t.Errorf("%+v of two", exit)
	}
	w.ended(10, Name{Group: "g", Process: "other"}, 1)
	w.ended(10, app, 2)
	if exit, ok := w.Exit(10, app); !ok || exit.Status.ExitStatus() != 2 {
		t.Errorf("%+v %v", exit, ok)
	}
	if _, ok := w.Exit(10, app); ok {
		t.Error("the end of another program")
	}
}

// While an event stands in supervisord's buffer its number may be used again: events come
// in the order of the deaths, so a program's own oldest end is the one that is meant.
func TestNumberUsedAgainBeforeItsEvent(t *testing.T) {
	other := Name{Group: "g", Process: "other"}
	w := nobody(t)
	w.ended(10, app, 1)
	w.ended(10, app, 2)
	w.ended(10, other, 3)
	w.ended(10, app, 4)
	for _, want := range []struct {
		name Name
		code int
	}{{name: app, code: 1}, {name: app, code: 2}, {name: other, code: 3}, {name: app, code: 4}} {
		w.Add(10, want.name) // its RUNNING
		if exit, ok := w.Exit(10, want.name); !ok || exit.Status.ExitStatus() != want.code {
			t.Errorf("%v: %+v %v instead of %d", want.name, exit, ok, want.code)
		}
	}

	w.ended(11, Name{}, 1) // of no event, or of this one
	w.ended(11, app, 2)
	w.Add(11, app)
	if exit, ok := w.Exit(11, app); !ok || exit.Status.ExitStatus() != 2 {
		t.Errorf("with a name: %+v %v", exit, ok)
	}
	w.ended(12, Name{}, 1)
	w.ended(12, Name{}, 2)
	w.Add(12, app)
	if exit, ok := w.Exit(12, app); ok {
		t.Errorf("without names: %+v of two", exit)
	}
	w.ended(13, app, 1)
	w.Gap() // its event may be among those that were lost
	w.ended(13, app, 2)
	w.Add(13, app)
	if exit, ok := w.Exit(13, app); !ok || exit.Status.ExitStatus() != 2 {
		t.Errorf("after a gap: %+v %v", exit, ok)
	}
}

// More processes than descriptors: the rest is counted, and watched when there is room.
func TestFewFiles(t *testing.T) {
	each(t, func(t *testing.T, mode func(*Config)) {
		w, _ := start(t, mode, func(c *Config) { c.Files = 2 })
		var pids []int
		for range 3 {
			pid, reap := child(t, "exec sleep 100")
			t.Cleanup(reap)
			pids = append(pids, pid)
			w.Add(pid, app)
		}
		defer func() {
			for _, pid := range pids {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}()
		if n, refused, _ := w.Stats(); n != 2 || refused != 1 {
			t.Errorf("%d are watched, %d are not", n, refused)
		}

		w.mu.Lock()
		w.cfg.Files = 3
		w.mu.Unlock()
		w.Sweep()
		if n, refused, _ := w.Stats(); n != 3 || refused != 0 {
			t.Errorf("with room %d are watched, %d are not", n, refused)
		}
	})
}

// Without a descriptor for it the connector says how a process ended.
func TestRefusedIsReported(t *testing.T) {
	needConnector(t)
	w, calls := start(t, func(c *Config) { c.Files = 0 })
	pid, reap := child(t, "read x; exit 6")
	reap()
	if exit, ok := w.Exit(pid, app); !ok || !exit.Known {
		t.Errorf("%+v %v", exit, ok)
	}
	if calls.Load() == 0 {
		t.Error("the death is not reported")
	}
}

// An older kernel reports the death and does not say why.
func TestOldKernel(t *testing.T) {
	w, calls := start(t, func(c *Config) {
		c.NoConnector = true
		c.Info = func(int, *unix.PidfdInfo) error { return unix.ENOTTY }
	})
	if w.ReportsExits() && !release(6, 15) {
		t.Error("it is said that the kernel knows")
	}
	pid, reap := child(t, "exec sleep 100")
	w.Add(pid, app)
	_ = syscall.Kill(pid, syscall.SIGKILL)
	wait(t, "the death", func() bool { return calls.Load() == 1 })
	reap()
	if exit, ok := w.Exit(pid, app); !ok || exit.Known || exit.Died.IsZero() {
		t.Errorf("%+v %v", exit, ok)
	}
	if n, _, _ := w.Stats(); n != 0 {
		t.Errorf("%d are watched still", n)
	}
}

// A death that is of no interest is not waited for, and how long it had run is known.
func TestPending(t *testing.T) {
	each(t, func(t *testing.T, mode func(*Config)) {
		died := make(chan Death, 1)
		w, _ := start(t, mode, func(c *Config) {
			c.Died = func(d Death) bool { died <- d; return false }
		})
		pid, reap := child(t, "exec sleep 100")
		w.Add(pid, app)
		time.Sleep(50 * time.Millisecond)
		_ = syscall.Kill(pid, syscall.SIGTERM)
		defer reap()
		if d := <-died; d.Ran < 30*time.Millisecond || d.Ran > 5*time.Second || d.Orderly != w.Connected() {
			t.Errorf("%+v", d)
		}
		if w.Pending() {
			t.Error("its event is waited for")
		}
	})
}

// A death that somebody has asked for wakes nobody.
func TestStopping(t *testing.T) {
	each(t, func(t *testing.T, mode func(*Config)) {
		w, calls := start(t, mode)
		pid, reap := child(t, "exec sleep 100")
		w.Add(pid, app)
		w.Stopping(pid)
		_ = syscall.Kill(pid, syscall.SIGTERM)
		reap()
		time.Sleep(10 * time.Millisecond)
		if calls.Load() != 0 || w.Pending() {
			t.Error("the death is reported")
		}
		if _, ok := w.Exit(pid, app); !ok {
			t.Error("its end is not known")
		}

		pid, reap = child(t, "exec sleep 100")
		w.Add(pid, app)
		_ = syscall.Kill(pid, syscall.SIGTERM)
		wait(t, "the death", w.Pending)
		w.Stopping(pid) // its event comes later
		reap()
		if w.Pending() {
			t.Error("the death is waited for")
		}
	})
}

// What nobody asks for is bounded, counted, and dropped when it is old.
func TestKeptIsBounded(t *testing.T) {
	w := nobody(t)
	for i := range maxKept + 10 {
		w.ended(i%100, Name{}, 1)
	}
	held := 0
	for _, list := range w.table.ends.byPID {
		held += len(list)
	}
	if len(w.table.ends.order) != maxKept || held != maxKept || w.table.ends.dropped != 10 {
		t.Errorf("%d and %d are kept, %d dropped", len(w.table.ends.order), held, w.table.ends.dropped)
	}
	for _, p := range w.table.ends.order {
		p.died = p.died.Add(-2 * keepFor)
	}
	w.Sweep()
	if len(w.table.ends.order) != 0 || len(w.table.ends.byPID) != 0 {
		t.Errorf("%d and %d are kept for ever", len(w.table.ends.order), len(w.table.ends.byPID))
	}
}

func BenchmarkAddExit(b *testing.B) {
	w, err := New(Config{Parent: os.Getpid(), Died: func(Death) bool { return false }, Files: 10})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	b.ReportAllocs()
	for b.Loop() {
		w.Add(cmd.Process.Pid, app)
		w.Exit(cmd.Process.Pid, app)
	}
}
