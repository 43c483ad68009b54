package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"supernats/schema/program"
	"supernats/schema/stream"
)

// printing are the commands that print, each with something to say.
func (i *installation) printing() [][]string {
	i.Helper()
	rules := i.TempDir() + "/r.yaml"
	if err := os.WriteFile(rules, []byte("rules:\n  - {name: exits, event: PROCESS_STATE_EXITED, expected: false}\n"), 0o600); err != nil {
		i.Fatal(err)
	}
	return [][]string{
		{"ps"},
		{"hosts"},
		{"tail", "--since", "2h", "--limit", "3"},
		{"replay"},
		{"replay", "--publish", "again"},
		{"alerts"},
		{"alerts", "show", "new"},
		{"alerts", "show", "new", "-o", "md"},
		{"mute", "--rule", "*exit", "--for", "1h", "--comment", "c"},
		{"mute", "--rule", "nothing", "--for", "1h", "--comment", "c"},
		{"mutes"},
		{"unmute", "m1"},
		{"doctor"},
		{"test-alert", "--timeout", "200ms"},
		{"rules", "check", rules},
		{"rules", "backtest", rules},
		{"init"},
		{"completion", "bash"},
		{"man"},
		{"version"},
		{"--version"},
		{"--help"},
		{"replay", "--help"},
		{"consume", "--print-unit", "systemd"},
	}
}

// printable has something for each command to print.
func printable(t *testing.T) *installation {
	i := newInstallation(t)
	i.fill()
	i.crowd()
	i.trouble()
	i.durable(stream.Alerts, "notify_chat")
	return i
}

// forms are the forms of output of a command, one of them if it knows none.
func forms(args []string) []string {
	switch args[0] {
	case "unmute", "rules", "completion", "man", "version", "--version", "--help", "consume":
		return []string{""}
	}
	if args[len(args)-1] == "--help" || args[len(args)-1] == "md" || len(args) > 1 && args[1] == "--publish" {
		return []string{""}
	}
	return []string{"table", "json", "jsonl"}
}

// Where the output cannot be written, as on a full disk, a command fails: it has not
// answered.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	i := printable(t)
	for _, args := range i.printing() {
		for _, form := range forms(args) {
			full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			given := args
			if form != "" {
				given = append(given[:len(given):len(given)], "-o", form)
			}
			if args[0] == "unmute" {
				i.trouble() // it was ended once
			}
			cmd := command(t, given...)
			cmd.Env = append(cmd.Env, "SUPERNATS_NATS_URL="+i.url)
			var errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = full, &errs
			_ = cmd.Run()
			full.Close()
			if code := cmd.ProcessState.ExitCode(); code == program.ExitDone || !strings.Contains(errs.String(), "write /dev/stdout: no space left on device") {
				t.Errorf("%q ended with %d: %s", given, code, errs.String())
			}
		}
	}
}

// Who reads no more, as `head` does, is no error of a command, which ends without a word.
func TestClosedPipe(t *testing.T) {
	t.Parallel()
	i := printable(t)
	i.crashing(3000)
	for _, args := range i.printing() {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := command(t, args...)
		cmd.Env = append(cmd.Env, "SUPERNATS_NATS_URL="+i.url)
		var errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = write, &errs
		read.Close()
		err = cmd.Run()
		write.Close()
		bySignal := false
		if exit := new(exec.ExitError); errors.As(err, &exit) {
			bySignal = exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGPIPE
		}
		// Go has the system end a program that writes to a closed stdout.
		if err != nil && !bySignal || strings.Contains(errs.String(), "pipe") || strings.Contains(errs.String(), "panic") {
			t.Errorf("%q: %v: %s", args, err, errs.String())
		}
	}
}

// Control-C ends every command within a moment. One that runs until it is stopped is done
// then; one that owed an answer has failed, and says so.
func TestInterrupted(t *testing.T) {
	i := printable(t)
	i.crashing(6000)
	i.eventsAt(0, 20*time.Minute) // a long silence
	i.leased()
	fast := i.url
	i.slowLink(2 << 10)
	slowest := i.url
	i.url = fast
	i.slowLink(128 << 10)
	rules := i.printing()[15][2]
	const interrupted = "supernats: interrupted before it was done\n"
	for _, c := range []struct {
		args []string
		url  string
		// after is how long the command runs.
		after time.Duration
		code  int
		errs  string
	}{
		{args: []string{"tail"}, url: fast, after: time.Second},
		{args: []string{"replay"}, url: i.url, after: time.Second},
		{args: []string{"replay", "-o", "json"}, url: i.url, after: time.Second},
		{args: []string{"replay", "--speed", "1"}, url: fast, after: time.Second},
		// The server has not said yet that it has taken all.
		{args: []string{"replay", "--publish", "again"}, url: i.url, after: time.Second, code: program.ExitFailed, errs: " events are published below again.\n"},
		{args: []string{"replay", "--publish", "again", "--speed", "10"}, url: fast, after: time.Second},
		{args: []string{"consume", "-c", i.quietDaemon()}, url: i.url, after: time.Second},
		{args: []string{"rules", "backtest", rules}, url: i.url, after: time.Second, code: program.ExitFailed, errs: interrupted},
		{args: []string{"alerts", "--since", "1d"}, url: slowest, after: time.Second, code: program.ExitFailed, errs: interrupted},
		{args: []string{"test-alert", "chat"}, url: fast, after: time.Second, code: program.ExitFailed, errs: interrupted},
		{args: []string{"doctor"}, url: slowest, after: time.Second, code: program.ExitFailed, errs: interrupted},
	} {
		cmd := command(t, c.args...)
		cmd.Env = append(cmd.Env, "SUPERNATS_NATS_URL="+c.url)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(c.after)
		begun := time.Now()
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%q took %v to end", c.args, took)
		}
		if code := cmd.ProcessState.ExitCode(); code != c.code || c.errs != "" && !strings.HasSuffix(errs.String(), c.errs) {
			t.Errorf("%q ended with %d: %s", c.args, code, errs.String())
		}
	}
}
