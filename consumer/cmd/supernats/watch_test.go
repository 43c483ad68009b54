package main

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"golang.org/x/sys/unix"

	"supernats/schema"
	"supernats/schema/program"
	"supernats/schema/stream"
)

// watching is a command that has a terminal to itself.
type watching struct {
	*testing.T
	cmd      *exec.Cmd
	master   *os.File
	keyboard *os.File
	// terminal is what the command is on; mu guards it.
	mu       sync.Mutex
	terminal *vt.Emulator
	// written is closed when the command has ended and all that it wrote was drawn.
	written chan struct{}
}

// watch starts a command on a terminal of so many columns and 24 lines.
func (i *installation) watch(width int, env []string, args ...string) *watching {
	i.Helper()
	master, keyboard := pseudoTerminal(i.T, width)
	w := &watching{
		T: i.T, master: master, keyboard: keyboard, terminal: vt.NewEmulator(width, 24), written: make(chan struct{}),
	}
	w.cmd = command(i.T, append(args, "--nats-url", i.url)...)
	w.cmd.Env = append(w.cmd.Env, append([]string{"TERM=xterm-256color"}, env...)...)
	w.cmd.Stdin, w.cmd.Stdout, w.cmd.Stderr = keyboard, keyboard, keyboard
	if err := w.cmd.Start(); err != nil {
		i.Fatal(err)
	}
	go func() { _, _ = io.Copy(master, w.terminal) }() // what the terminal answers
	go func() {
		defer close(w.written)
		_, _ = io.Copy(w, master)
	}()
	return w
}

// Write draws what the command writes.
func (w *watching) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.terminal.Write(b)
}

// text is what the screen shows, drawn the same with its colors.
func (w *watching) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.terminal.String()
}

func (w *watching) drawn() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.terminal.Render()
}

// shows waits until the screen has all of the texts.
func (w *watching) shows(texts ...string) {
	w.Helper()
	missing := ""
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		missing = ""
		screen := w.text()
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				missing = text
			}
		}
		if missing == "" {
			return
		}
	}
	w.Fatalf("no %q on\n%s", missing, w.text())
}

func (w *watching) press(keys string) {
	w.Helper()
	if _, err := w.master.WriteString(keys); err != nil {
		w.Fatal(err)
	}
}

// interrupt is what a terminal does on control-C where a program reads no keys.
func (w *watching) interrupt() {
	w.Helper()
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		w.Fatal(err)
	}
}

func (w *watching) resize(width, height int) {
	w.Helper()
	w.mu.Lock()
	w.terminal.Resize(width, height)
	w.mu.Unlock()
	size := &unix.Winsize{Row: uint16(height), Col: uint16(width)}
	if err := unix.IoctlSetWinsize(int(w.master.Fd()), unix.TIOCSWINSZ, size); err != nil {
		w.Fatal(err)
	}
	// A terminal tells the processes that it controls; this one controls none.
	if err := w.cmd.Process.Signal(unix.SIGWINCH); err != nil {
		w.Fatal(err)
	}
}

// ends waits for the command, which must leave the terminal as it was, and returns what is
// on it.
func (w *watching) ends(was *unix.Termios) string {
	w.Helper()
	if err := w.cmd.Wait(); err != nil {
		w.Error(err)
	}
	if is := w.modes(); *is != *was {
		w.Errorf("the terminal is %+v, was %+v", is, was)
	}
	w.keyboard.Close()
	<-w.written
	if w.terminal.IsAltScreen() || w.terminal.CursorHidden() {
		w.Error("the terminal is not as it was")
	}
	return w.text()
}

func (w *watching) modes() *unix.Termios {
	w.Helper()
	modes, err := unix.IoctlGetTermios(int(w.keyboard.Fd()), unix.TCGETS)
	if err != nil {
		w.Fatal(err)
	}
	return modes
}

func (i *installation) running(host, process, state string) {
	i.Helper()
	i.state(schema.ProcessRecord{Host: host, Group: "api", Process: process, State: state, Since: i.ago(2 * time.Second)})
}

// The screen follows the records, says that nobody writes them, and gives the terminal back.
func TestPsWatch(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.running("データベース", "api_00", "RUNNING")
	i.running("web1", "api_01", "RUNNING")
	w := i.watch(80, nil, "ps", "--watch")
	was := w.modes()
	w.shows("stale since", "no `supernats consume` is recording events", "2 processes: 2 running",
		"HOST          PROCESS     STATE", "データベース  api:api_00  RUNNING", "web1          api:api_01  RUNNING")

	i.running("web1", "api_01", "FATAL")
	w.shows("2 processes: 1 down, 1 running", "web1          api:api_01  FATAL")
	i.running("web2", "api_02", "BACKOFF")
	w.shows("web2          api:api_02  BACKOFF")

	w.resize(60, 12)
	w.shows("not shown at 60 columns")
	shows(t, w.text(), 60)

	w.press("q")
	if screen := w.ends(was); strings.TrimSpace(screen) != "" {
		t.Errorf("it leaves\n%s", screen)
	}
}

// While NATS is away, nothing on the screen is as if it were now; then it continues.
func TestPsWatchOverARestartOfNATS(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.running("web1", "api_01", "RUNNING")
	i.leased()
	i.durable(stream.Events, stream.EventsConsumer)
	w := i.watch(80, nil, "ps", "--watch")
	was := w.modes()
	w.shows("live ", "1 process: 1 running", "api:api_01  RUNNING")

	i.server.Stop()
	stopped := time.Now()
	w.shows("stale since ", "the connection to NATS is lost, connecting again")
	if took := time.Since(stopped); took > 5*time.Second {
		t.Errorf("it took %v to notice", took)
	}
	for range 30 { // over several checks
		if screen := w.text(); strings.Contains(screen, "live ") {
			t.Errorf("NATS is away\n%s", screen)
			break
		}
		time.Sleep(100 * time.Millisecond)
	}

	i.server.Restart()
	w.shows("live ", "1 process: 1 running")
	i.running("web1", "api_01", "FATAL")
	w.shows("live ", "1 process: 1 down", "api:api_01  FATAL")

	w.press("q")
	if screen := w.ends(was); strings.TrimSpace(screen) != "" {
		t.Errorf("it leaves\n%s", screen)
	}
}

// A row that is higher than the screen is begun.
func TestPsWatchOnATinyScreen(t *testing.T) {
	i := newInstallation(t)
	i.running(strings.Repeat("long-", 30), "api_01", "RUNNING")
	w := i.watch(40, nil, "ps", "--watch")
	w.resize(40, 10)
	w.shows("long-lon", "q quits")
	shows(t, w.text(), 40)
	w.press("q")
	if err := w.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// Control-C is no error, and neither is SIGTERM.
func TestPsWatchInterrupted(t *testing.T) {
	i := newInstallation(t)
	i.running("web1", "api_01", "RUNNING")
	for name, end := range map[string]func(w *watching){
		"control-C": func(w *watching) { w.press("\x03") },
		"SIGTERM": func(w *watching) {
			if err := w.cmd.Process.Signal(unix.SIGTERM); err != nil {
				t.Fatal(err)
			}
		},
	} {
		w := i.watch(80, nil, "ps", "--watch")
		was := w.modes()
		w.shows("web1")
		end(w)
		if screen := w.ends(was); strings.TrimSpace(screen) != "" {
			t.Errorf("%s leaves\n%s", name, screen)
		}
	}
}

// Where not all fit, the worst are first, and keys scroll.
func TestPsWatchScrolls(t *testing.T) {
	i := newInstallation(t)
	for _, p := range "abcdefghijklmnopqrstuvwxyz" {
		i.running("web1", string(p), "RUNNING")
	}
	i.running("web1", "z", "FATAL")
	w := i.watch(80, nil, "ps", "--watch", "--host", "web*")
	w.shows("26 processes: 1 down, 25 running", "1 to 18 of 26, worst first")
	_, rows, _ := strings.Cut(w.text(), "HOST ")
	if first := strings.Split(rows, "\n")[1]; !strings.HasPrefix(first, "web1  api:z    FATAL") {
		t.Errorf("z is not first:\n%s", w.text())
	}
	w.press("\x1b[6~") // page down
	w.shows("19 to 26 of 26", "api:y")
	w.press("g")
	w.shows("1 to 18 of 26")
	w.press("j")
	w.shows("2 to 19 of 26")
	w.press("q")
	if err := w.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestPsWatchWithoutColors(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.running("web1", "api_01", "FATAL")
	for _, c := range []struct {
		env  []string
		want bool
	}{{want: true}, {env: []string{"NO_COLOR=1"}}} {
		w := i.watch(80, c.env, "ps", "--watch")
		w.shows("FATAL")
		if colored := strings.Contains(w.drawn(), "mFATAL\x1b[m"); colored != c.want {
			t.Errorf("%q: colored: %v\n%q", c.env, colored, w.drawn())
		}
		w.press("q")
		if err := w.cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}

func TestPsWatchRefuses(t *testing.T) {
	i := newInstallation(t)
	if screen := i.onScreen(80, []string{"TERM=dumb"}, "ps", "--watch"); !strings.HasPrefix(screen, "supernats: --watch needs a terminal") {
		t.Errorf("on a dumb terminal: %s", screen)
	}
	for want, args := range map[string][]string{
		"--watch needs a terminal: `supernats tail --event PROCESS_STATE` prints changes elsewhere": {"ps", "--watch"},
		"--watch draws a table: it cannot be combined with -o json":                                 {"ps", "-w", "-o", "json"},
	} {
		_, errs, code := supernats(t, append(args, "--nats-url", i.url)...)
		if code != program.ExitUsage || !strings.Contains(errs, want) {
			t.Errorf("%q ended with %d: %s", args, code, errs)
		}
	}
}

// DOWN and UNKNOWN include what their host has become of, and not only states of supervisor.
func TestPsByStateThatIsNoneOfSupervisor(t *testing.T) {
	i := newInstallation(t)
	now := i.ago(0)
	for _, host := range []string{"web1", "silent"} {
		h := schema.HostRecord{Host: host, SupervisorState: "RUNNING", LastSeen: now}
		if host == "silent" {
			h.LastSeen = i.ago(time.Hour)
		}
		i.host(h)
		i.running(host, "well", "RUNNING")
		i.running(host, "bad", "FATAL")
	}
	for _, c := range []struct {
		state string
		want  string
	}{
		{state: "down", want: "silent bad, silent well, web1 bad"},
		{state: "unknown", want: "silent bad, silent well"},
		{state: "down,running", want: "silent bad, silent well, web1 bad, web1 well"},
	} {
		if got := strings.Join(namesOf(t, i.run("ps", "--state", c.state, "-o", "jsonl")), ", "); got != c.want {
			t.Errorf("--state %s: %s, want %s", c.state, got, c.want)
		}
	}
}

func namesOf(t *testing.T, lines string) (names []string) {
	t.Helper()
	for line := range strings.Lines(lines) {
		var p schema.ProcessRecord
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatal(err)
		}
		names = append(names, p.Host+" "+p.Process)
	}
	return names
}
