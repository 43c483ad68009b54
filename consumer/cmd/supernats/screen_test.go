package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clipperhouse/displaywidth"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"supernats/schema"
	"supernats/schema/stream"
)

// pseudoTerminal returns both ends of a pseudo-terminal that is so wide.
func pseudoTerminal(t *testing.T, width int) (screen, keyboard *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatalf("a pseudo-terminal is needed (mount devpts): %v", err)
	}
	t.Cleanup(func() { screen.Close() })
	fd := int(screen.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: uint16(width)}); err != nil {
		t.Fatal(err)
	}
	keyboard, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	return screen, keyboard
}

var colorCodes = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// onScreen runs a command on a terminal that is so wide, and returns what it shows there.
func (i *installation) onScreen(width int, env []string, args ...string) string {
	i.Helper()
	return shownLast(i.written(width, env, args...))
}

// shownLast is what is on a screen in the end.
func shownLast(text string) string {
	var shown strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(colorCodes.ReplaceAllString(text, ""), "\r\n", "\n")) {
		// A progress bar is drawn over.
		shown.WriteString(strings.TrimPrefix(line[strings.LastIndexByte(line, '\r')+1:], "\x1b[K"))
	}
	return shown.String()
}

// written runs a command on a terminal that is so wide, and returns all that it writes.
func (i *installation) written(width int, env []string, args ...string) string {
	i.Helper()
	screen, keyboard := pseudoTerminal(i.T, width)
	cmd := command(i.T, append(args, "--nats-url", i.url)...)
	cmd.Env = append(cmd.Env, append([]string{"TERM=xterm"}, env...)...)
	cmd.Stdout, cmd.Stderr = keyboard, keyboard
	if err := cmd.Start(); err != nil {
		i.Fatal(err)
	}
	keyboard.Close()
	text, err := io.ReadAll(screen)
	if err != nil && !errors.Is(err, syscall.EIO) { // what a closed terminal says
		i.Fatal(err)
	}
	if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		i.Fatal(err)
	}
	return string(text)
}

// crowd are records that no screen of 80 columns has room for.
func (i *installation) crowd() {
	i.host(schema.HostRecord{
		Host: "web-frontend-01.fra.example.com", BridgeVersion: "v1.2.3", SupervisorVersion: "4.2.5", SupervisorState: "RUNNING",
		LastSeen: i.ago(2 * time.Second), Running: 412, Down: 17, Stopped: 3, Exited: 5, Lost: 1200, LastLoss: new(i.ago(26 * time.Hour)),
		Troubles: []schema.HostTrouble{{Cause: "disk-full"}, {Cause: "rpc-unreachable"}},
	})
	i.host(schema.HostRecord{Host: "データベース", SupervisorState: "RUNNING", LastSeen: i.ago(time.Hour)})
	crash := new(i.ago(23*time.Minute + 10*time.Second))
	for _, s := range []schema.ProcessRecord{
		{Host: "web-frontend-01.fra.example.com", Group: "payment-workers", Process: "payment-worker_00", State: "RUNNING", PID: 4194303, LastExit: crash, Exit: &schema.Exit{Code: new(3)}},
		{Host: "web-frontend-01.fra.example.com", Group: "api", Process: "api", State: "FATAL", LastExit: crash, Exit: &schema.Exit{SpawnErr: "can't find command '/opt/payments/current/bin/api-server'"}},
		{Host: "データベース", Group: "集計", Process: "集計", State: "RUNNING", PID: 4194302},
		{Host: "e\u0301toile", Group: "🚀", Process: "🚀", State: "BACKOFF", Exit: &schema.Exit{Signal: "SIGSEGV", Core: true}, LastExit: crash},
	} {
		s.Since, s.Starts, s.Exits, s.UnexpectedExits, s.Fatals = i.ago(50*time.Hour), 12000, 11000, 3000, 10
		i.state(s)
	}
}

// shows checks that a screen of so many columns breaks no line by itself.
func shows(t *testing.T, screen string, width int) {
	t.Helper()
	for line := range strings.Lines(screen) {
		if line = strings.TrimSuffix(line, "\n"); displaywidth.String(line) > width {
			t.Errorf("%d columns on a screen of %d: %s", displaywidth.String(line), width, line)
		}
	}
}

// column returns the words that begin where a heading does, line by line.
func column(t *testing.T, screen, heading string) (words []string) {
	t.Helper()
	lines := strings.Split(screen, "\n")
	begin := strings.Index(lines[0], heading)
	if begin < 0 {
		t.Fatalf("no %s in\n%s", heading, screen)
	}
	for _, line := range lines[1:] {
		if strings.HasPrefix(line, "not shown") {
			break
		}
		rest := line
		for rest != "" && displaywidth.String(strings.TrimSuffix(line, rest)) < begin {
			character := displaywidth.StringGraphemes(rest)
			character.Next()
			rest = rest[len(character.Value()):]
		}
		if word, _, _ := strings.Cut(rest, "  "); word != "" && displaywidth.String(strings.TrimSuffix(line, rest)) == begin {
			words = append(words, strings.TrimSpace(word))
		}
	}
	return words
}

func TestPsOn80Columns(t *testing.T) {
	i := newInstallation(t)
	i.crowd()
	screen := i.onScreen(80, nil, "ps")
	shows(t, screen, 80)
	if d := cmp.Diff([]string{"2d2h", "2d2h", "2d2h", "1h0m"}, column(t, screen, "FOR")); d != "" {
		t.Errorf("%s\n%s", d, screen)
	}
	for _, want := range []string{"23m ago, exit 3", "23m ago, spawn", "23m ago, SIGSEGV,", "not shown at 80 columns: FATALS, STARTS, EXITS, UNEXPECTED, PID (-o json has"} {
		if !strings.Contains(screen, want) {
			t.Errorf("no %q in\n%s", want, screen)
		}
	}

	if screen := i.onScreen(200, nil, "ps"); strings.Contains(screen, "not shown") || !strings.Contains(screen, "4194303  12000") {
		t.Error(screen)
	}
	narrow := i.onScreen(200, []string{"COLUMNS=80"}, "ps")
	if d := cmp.Diff(screen, narrow); d != "" {
		t.Error("COLUMNS is not respected:", d)
	}
}

// Every command that prints a table, on screens of several widths.
func TestTablesOnNarrowScreens(t *testing.T) {
	i := newInstallation(t)
	i.crowd()
	i.trouble()
	i.fill()
	i.event(schema.Event{Host: "web-frontend-01.fra.example.com", Group: "payment-workers", Process: "payment-worker_00"}, func(e *schema.Event) {
		e.Event, e.FromState, e.PID, e.Expected = schema.ProcessStateExited, "RUNNING", 4194303, new(false)
		e.Exit = &schema.Exit{SpawnErr: "can't find command '/opt/payments/current/bin/api-server'"}
	})
	i.event(schema.Event{Host: "データベース", Group: "集計", Process: "集計"}, func(e *schema.Event) {
		e.Event, e.FromState, e.PID = schema.ProcessStateRunning, "STARTING", 4194302
	})
	i.mute(schema.Mute{ID: "k7wq2", Hosts: []string{"web-frontend-*.fra.example.com"}, Author: "somebody@ops-1", Comment: "the data centre is being moved until Friday", Expires: schema.Time{Time: time.Now().Add(time.Hour)}})
	rules := i.TempDir() + "/rules-of-the-payments-team.yaml"
	if err := os.WriteFile(rules, []byte("rules:\n  - {name: a-rule-with-quite-a-long-name, event: PROCESS_STATE_EXITED, expected: false}\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	broken := regexp.MustCompile(`\d{4}-$|\d{4}-\d\d-$|\d{4}-\d\d-\d\d$|\d\d:$|\bpid$|[ ,]exit$`)
	for _, args := range [][]string{
		{"ps"},
		{"hosts"},
		{"alerts", "--since", "30000d"},
		{"mutes"},
		{"replay"},
		{"tail", "--since", "2h", "--limit", "7"},
		{"rules", "backtest", rules},
		{"rules", "backtest", "--compare", rules},
		{"doctor"},
	} {
		for _, width := range []int{80, 100} {
			t.Run(fmt.Sprint(strings.Join(args[:min(3, len(args))], " "), " ", width), func(t *testing.T) {
				screen := i.onScreen(width, nil, args...)
				shows(t, screen, width)
				for line := range strings.Lines(screen) {
					if broken.MatchString(strings.TrimSpace(line)) {
						t.Errorf("a time or a number is broken: %q\n%s", line, screen)
					}
				}
				if t.Failed() || testing.Verbose() {
					t.Log("\n" + screen)
				}
			})
		}
	}
}

// Sentences are broken between their words, in tables as beside them.
func TestNoWordIsBroken(t *testing.T) {
	i := newInstallation(t)
	i.trouble()
	const sentence = "the administrator of the neighbouring department disconnected everything yesterday"
	i.takes("notify_operations", 0, stream.Position{Failures: stream.Failures{Error: sentence, Tries: 3, Since: new(i.ago(time.Hour))}})
	i.alert(schema.Alert{
		Incident: "long", Rule: "a-rule-with-quite-a-long-name", Severity: "critical", Host: "web-frontend-01.fra.example.com", Group: "payment-workers", Process: "payment-worker_00",
		Phase: schema.PhaseFiring, Opened: at(0), Count: 1, Last: &schema.AlertEvent{Time: at(1), Event: schema.ProcessStateFatal, Exit: &schema.Exit{SpawnErr: sentence}},
	})
	words := map[string]bool{}
	for word := range strings.FieldsSeq(sentence) {
		words[word] = true
	}
	for _, width := range []int{60, 80, 100} {
		screen := i.onScreen(width, nil, "alerts")
		shows(t, screen, width)
		for word := range words {
			if !strings.Contains(screen, word) {
				t.Errorf("at %d columns %q is broken:\n%s", width, word, screen)
			}
		}
	}

	for _, args := range [][]string{
		{"ps", "nobody"},
		{"hosts", "nobody"},
		{"tail", "--until", "1h"},
	} {
		const width = 60
		screen := i.onScreen(width, nil, args...)
		shows(t, screen, width)
		if strings.Count(screen, "\n") < 2 {
			t.Errorf("%q: %s", args, screen)
		}
	}
}

func TestEventsOn80Columns(t *testing.T) {
	i := newInstallation(t)
	i.fill()
	stamp := func(second int) string { return i.at(second).Format("01-02 15:04:05") }
	want := stamp(0) + "  web1       api:api_00       STARTING from STOPPED\n" +
		stamp(1) + "  web1       api:api_00       EXITED   unexpected, exit code 3\n" +
		stamp(2) + "  db1.example.com                  TICK_5   04:51:20\n" +
		stamp(3) + "  db1.example.com my.app-weird*>é  PROCESS_LOG_STDOUT \"one\\ntwo\\n\"\n" +
		stamp(4) + "  db1.example.com                  REMOTE_COMMUNICATION\n    type deploy now\n"
	if d := cmp.Diff(want, i.onScreen(80, nil, "replay")); d != "" {
		t.Error(d)
	}
	// What does not fit is continued below.
	want = stamp(3) + "  db1.example.com my.app-weird*>é  PROCESS_LOG_STDOUT\n    \"one\\ntwo\\n\"\n"
	if screen := i.onScreen(72, nil, "replay"); !strings.Contains(screen, want) {
		t.Error(screen)
	}
}
