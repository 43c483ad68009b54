// Package exec runs a command for every batch of notifications, for whatever has no
// receiver.
//
// The command gets the batch on its standard input, a JSON array of CloudEvents as in the
// stream SUPERVISOR_ALERTS (application/cloudevents-batch+json), with the links of each as
// extension attributes, and an environment of its own: PATH, HOME, USER, LANG, TZ and TMPDIR
// of supernats, SUPERNATS_RECEIVER, SUPERNATS_INSTANCE, SUPERNATS_…URL (see links.go), and
// what Config.Env has. It runs in the directory of supernats, without a shell.
//
// A command that cannot be started is an Outage: it would not start for any other batch
// either. Exit code 0 says that all is delivered. The codes of sysexits.h, 64 to 78, say
// that another try is of no use, but for 69 (service unavailable), 71 (system error), 74
// (input/output error) and 75 (temporary failure). Every other code is worth another try:
// most programs say 1 whatever has happened.
//
// Under pressure: one process at a time for each call of Notify. What it writes is read and
// dropped but for the last 2 KiB, of which an error shows the end. When Config.Timeout is
// over, or ctx ends, its process group gets SIGTERM, and Config.KillAfter later SIGKILL; so
// Notify takes at most the sum of both, and KillAfter once more if something that left the
// group holds the output open.
package exec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	osexec "os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/wording"
	"supernats/schema"
	"supernats/schema/secretfile"
)

const (
	// DefaultTimeout is longer than that of a request: a command may try twice.
	DefaultTimeout = schema.Duration(30 * time.Second)
	// DefaultKillAfter is how long a command may take to clean up.
	DefaultKillAfter = schema.Duration(2 * time.Second)
	// maxOutput is how much of the output is kept, in bytes, and maxQuote how much
	// of that an error shows, in characters.
	maxOutput = 2 << 10
	maxQuote  = 500
)

// Codes of sysexits.h.
const (
	exUsage       = 64
	exUnavailable = 69
	exOSErr       = 71
	exIOErr       = 74
	exTempFail    = 75
	exConfig      = 78
)

// inherited are the variables that the command has from us. Others may be secrets.
var inherited = []string{"PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR"}

// defaultPath is used if we have no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Config is the section exec of a receiver.
type Config struct {
	// Command is the program and its arguments. One without a slash is looked for
	// in our PATH.
	Command []string `yaml:"command"`
	// Env is added to the environment. Its values are secrets.
	Env       map[string]secretfile.Secret `yaml:"env"`
	Timeout   schema.Duration              `yaml:"timeout"`
	KillAfter schema.Duration              `yaml:"kill_after"`
}

// WithDefaults fills in what is not set.
func (c Config) WithDefaults() Config {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.KillAfter == 0 {
		c.KillAfter = DefaultKillAfter
	}
	return c
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Validate reports everything that is wrong, a line for each key.
func (c Config) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if len(c.Command) == 0 || c.Command[0] == "" {
		wrong("command: missing; give a program and its arguments, for example [/usr/local/bin/page, --urgent]")
	}
	for i, s := range c.Command {
		if strings.ContainsRune(s, 0) {
			wrong("command[%d]: holds a NUL character", i)
		}
	}

	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		if !variable.MatchString(name) {
			wrong("env: invalid name %q: want letters, digits and _", name)
		}
		if strings.ContainsRune(string(c.Env[name]), 0) {
			wrong("env: the value of %s holds a NUL character", name)
		}
	}

	if c.Timeout <= 0 {
		wrong("timeout: invalid value %s: want a duration above zero; the default is %s", c.Timeout, DefaultTimeout)
	}
	if c.KillAfter <= 0 {
		wrong("kill_after: invalid value %s: want a duration above zero; the default is %s",
			c.KillAfter, DefaultKillAfter)
	}
	return errors.Join(errs...)
}

// Receiver runs a command. It implements notify.Receiver.
type Receiver struct {
	name string
	cfg  Config
	id   notify.Identity
}

var _ notify.Receiver = (*Receiver)(nil)

// New returns the receiver. Errors are those of Config.Validate, and of a command
// that is not there or not to be executed.
func New(name string, c Config, id notify.Identity) (*Receiver, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if _, err := osexec.LookPath(c.Command[0]); err != nil {
		var failed *osexec.Error
		if errors.As(err, &failed) && !errors.Is(err, osexec.ErrNotFound) {
			return nil, fmt.Errorf("command: %s: %s",
				wording.Clip(c.Command[0], maxQuote), whyNot(c.Command[0], failed.Err))
		}
		return nil, fmt.Errorf("command: %w", err)
	}
	return &Receiver{name, c, id}, nil
}

// Name implements notify.Receiver.
func (r *Receiver) Name() string { return r.name }

// Notify implements notify.Receiver.
func (r *Receiver) Notify(ctx context.Context, batch []*notify.Notification) error {
	who := notify.ReceiverName("exec", r.name)
	if err := notify.Check(batch); err != nil {
		return notify.Permanent(fmt.Errorf("%s: %w", who, err))
	}
	input, err := json.Marshal(withLinks(batch, r.id))
	if err != nil {
		return notify.Permanent(fmt.Errorf("%s: write JSON: %w", who, err))
	}

	cmd := osexec.Command(r.cfg.Command[0], r.cfg.Command[1:]...)
	output := &tail{max: maxOutput}
	cmd.Stdin = bytes.NewReader(input)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.Env = r.environment(batch)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// What the command leaves running may hold its output open.
	cmd.WaitDelay = time.Duration(r.cfg.KillAfter)

	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.cfg.Timeout))
	defer cancel()
	if err := ctx.Err(); err != nil {
		return notify.Outage(fmt.Errorf("%s: %s was not started: %w", who, r.program(), err))
	}
	if err := cmd.Start(); err != nil {
		why := whyNot(r.cfg.Command[0], err)
		return notify.Outage(fmt.Errorf("%s: start %s: %s; check command", who, r.program(), why))
	}
	err = r.wait(ctx, cmd)
	return r.judgeEnd(ctx, who, err, output)
}

// wait waits for the end of the command, and makes one when ctx ends.
func (r *Receiver) wait(ctx context.Context, cmd *osexec.Cmd) error {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}

	group := -cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM)
	grace := time.NewTimer(time.Duration(r.cfg.KillAfter))
	defer grace.Stop()

	var err error
	select {
	case err = <-ended:
		// Its children may have stayed. As long as one does, the number of the group is
		// nobody else's.
		_ = syscall.Kill(group, syscall.SIGKILL)
	case <-grace.C:
		_ = syscall.Kill(group, syscall.SIGKILL)
		_ = cmd.Process.Kill() // it may have moved to another group
		err = <-ended
	}
	return &stoppedError{context.Cause(ctx), err}
}

// stoppedError is the end of a command that we have stopped. How it ended then says nothing
// about what it has delivered.
type stoppedError struct{ why, end error }

func (e *stoppedError) Error() string { return e.why.Error() + ": " + fmt.Sprint(e.end) }

func (e *stoppedError) Unwrap() error { return e.why }

// judgeEnd decides what the end of a command means.
func (r *Receiver) judgeEnd(ctx context.Context, who string, err error, output *tail) error {
	var (
		stopped *stoppedError
		exit    *osexec.ExitError
	)
	said := ""
	if s := output.line(r.cfg.Env); s != "" {
		said = ": " + s
	}

	switch {
	case err == nil, errors.Is(err, osexec.ErrWaitDelay):
		return nil
	case errors.As(err, &stopped) && errors.Is(stopped, context.DeadlineExceeded):
		return fmt.Errorf("%s: %s did not end in time (%w, timeout: %s)%s; check command and timeout",
			who, r.program(), stopped.why, r.cfg.Timeout, said)
	case errors.As(err, &stopped):
		return fmt.Errorf("%s: %s was stopped: %w%s", who, r.program(), ctx.Err(), said)
	case errors.As(err, &exit) && exit.Exited():
		code := exit.ExitCode()
		err := fmt.Errorf("%s: %s exited with %d%s%s; check command", who, r.program(), code, said, r.hint(code))
		if isFinal(code) {
			return notify.Permanent(err)
		}
		return err
	}
	return fmt.Errorf("%s: %s: %w%s; check command", who, r.program(), err, said)
}

// isFinal reports whether a code of sysexits.h says that another try is of no use.
func isFinal(code int) bool {
	switch code {
	case exUnavailable, exOSErr, exIOErr, exTempFail:
		return false
	}
	return code >= exUsage && code <= exConfig
}

// program is the command without its arguments, which may be secrets.
func (r *Receiver) program() string { return wording.Clip(r.cfg.Command[0], maxQuote) }

// environment is that of the command.
func (r *Receiver) environment(batch []*notify.Notification) []string {
	env := []string{"SUPERNATS_RECEIVER=" + r.name, "SUPERNATS_INSTANCE=" + r.id.Instance}
	env = append(env, linkVariables(batch, r.id)...)
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		} else if name == "PATH" {
			env = append(env, name+"="+defaultPath)
		}
	}
	// The last one of a name counts.
	for _, name := range slices.Sorted(maps.Keys(r.cfg.Env)) {
		env = append(env, name+"="+string(r.cfg.Env[name]))
	}
	return env
}

// tail keeps the end of what is written to it. Its methods may be called at the same time:
// exec does not wait for ever for the writer.
type tail struct {
	mu   sync.Mutex
	max  int
	data []byte
	cut  bool
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if over := len(t.data) - t.max; over > 0 {
		t.data, t.cut = slices.Delete(t.data, 0, over), true
	}
	return len(p), nil
}

// line is the end of what was written as one visible line without secrets.
func (t *tail) line(secrets map[string]secretfile.Secret) string {
	t.mu.Lock()
	defer t.mu.Unlock()

	s, cut := strings.ToValidUTF8(string(t.data), "\ufffd"), t.cut
	for _, secret := range secrets {
		if len(secret) > 3 {
			s = strings.ReplaceAll(s, string(secret), "<secret>")
		}
	}

	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > maxQuote {
		s, cut = string(runes[len(runes)-maxQuote:]), true
	}
	if cut {
		s = "…" + s
	}
	return wording.Clip(s, 2*maxQuote)
}
