package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/consumer/notify/mail/smtptest"
)

// programs are those that supervisord runs besides the bridge.
const programs = `
[program:steady]
command=sh -c "echo I just run; exec sleep 100000"

[program:crasher]
command=sh -c "echo starting >&2; sleep 3; echo 'Fehler: Gerät nicht gefunden' >&2; exit 3"
autorestart=true

[program:flapper]
command=sh -c "echo cannot start >&2; exit 1"
startretries=2
`

// host is the name under which the demonstration's supervisord publishes.
const host = "demo"

// stage is everything that runs.
type stage struct {
	dir     string
	bin     string
	screen  *screen
	seen    *seen
	smtp    *smtptest.Server
	consume *exec.Cmd
	tail    *exec.Cmd
	super   *supervisordtest.Supervisord
}

// newStage starts all parts in a new directory. If one fails, those that run are stopped.
func newStage(bin, programs string, screen *screen) (_ *stage, err error) {
	bin, err = filepath.Abs(bin)
	if err != nil {
		return nil, err
	}
	for _, program := range []string{"supernats", "supernats-bridge"} {
		if _, err := os.Stat(filepath.Join(bin, program)); err != nil {
			return nil, fmt.Errorf("%w; run `task build` first", err)
		}
	}

	s := &stage{bin: bin, screen: screen, seen: newSeen()}
	if s.dir, err = os.MkdirTemp("", "supernats-demo"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()

	// Each part needs the one before it.
	if err := s.startMail(""); err != nil {
		return nil, err
	}
	nats, err := freeAddress()
	if err != nil {
		return nil, err
	}
	if err := s.writeConfig(nats); err != nil {
		return nil, err
	}
	if err := s.startConsume(); err != nil {
		return nil, err
	}
	if err := waitFor(nats); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, s.logs())
	}
	if err := s.writeSupervisorConf(nats, programs); err != nil {
		return nil, err
	}
	if err := s.startTail(); err != nil {
		return nil, err
	}
	s.super, err = supervisordtest.Run(s.dir)
	return s, err
}

// writeConfig writes the configuration of `supernats consume`, whose NATS server listens on
// an address.
func (s *stage) writeConfig(nats string) error {
	config := fmt.Sprintf(`data_dir: %s/data
embedded: {listen: %q}
mail:
  smarthost: %s
  tls: none
  from: supernats@example.com
  to: [ops@example.com]
`, s.dir, nats, s.smtp.Addr())
	if err := os.WriteFile(s.config(), []byte(config), 0o600); err != nil {
		return err
	}
	s.screen.section("supernats consume, with a NATS server on "+nats+", configured by", config)
	return nil
}

// writeSupervisorConf writes the configuration of supervisord: some programs and the bridge.
func (s *stage) writeSupervisorConf(nats, programs string) error {
	conf := s.command("supernats-bridge", "conf", "--one-section",
		"--stderr-logfile", "%(here)s/supernats-stderr.log",
		"--nats-url", "nats://"+nats,
		"--host", host,
		"--spool-dir", filepath.Join(s.dir, "spool"))
	section, err := conf.Output()
	if err != nil {
		return fmt.Errorf("supernats-bridge conf: %w", err)
	}
	if err := supervisordtest.WriteConf(s.dir, "supervisor", programs+string(section)); err != nil {
		return err
	}
	s.screen.section("supervisord, with these programs and the section that `supernats-bridge conf` prints",
		strings.TrimSpace(programs)+"\n")
	return nil
}

func (s *stage) config() string { return filepath.Join(s.dir, "supernats.yaml") }

func (s *stage) command(program string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.bin, program), args...)
	// Ctrl-C must not reach the parts: they are stopped in order.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return c
}

// startMail starts the mail server, on a free port if there is no address.
func (s *stage) startMail(address string) (err error) {
	s.smtp, err = smtptest.Start(smtptest.Options{Addr: address, OnMail: func(m smtptest.Mail) {
		s.seen.mail(m.Subject())
		s.screen.mail(m)
	}})
	if err != nil {
		return fmt.Errorf("start the mail server: %w", err)
	}
	return nil
}

// startConsume starts `supernats consume` with its log in a file.
func (s *stage) startConsume() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "consume.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.consume = s.command("supernats", "consume", "-c", s.config())
	s.consume.Stderr = log
	return s.consume.Start()
}

// startTail shows the events as `supernats tail` prints them.
func (s *stage) startTail() error {
	log, err := os.Create(filepath.Join(s.dir, "tail.log"))
	if err != nil {
		return err
	}
	defer log.Close()

	s.tail = s.command("supernats", "tail", "-c", s.config(), "--since", "1m", "-o", "jsonl")
	s.tail.Stderr = log
	out, err := s.tail.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.tail.Start(); err != nil {
		return err
	}

	s.screen.line("Events:")
	go func() {
		if err := followEvents(out, s.seen, s.screen); err != nil {
			s.screen.line("demo: " + err.Error())
		}
	}()
	return nil
}

// close stops what runs and removes the directory.
func (s *stage) close() error {
	var errs []error
	if s.tail != nil && s.tail.Process != nil {
		errs = append(errs, end(s.tail))
	}
	if s.super != nil {
		errs = append(errs, s.super.Stop())
	}
	if s.consume != nil && s.consume.Process != nil {
		errs = append(errs, end(s.consume))
	}
	if s.smtp != nil {
		errs = append(errs, s.smtp.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// end stops a program with SIGTERM, and with SIGKILL if that does not help.
func end(c *exec.Cmd) error {
	_ = c.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(15*time.Second, func() { _ = c.Process.Kill() })
	defer kill.Stop()
	if err := c.Wait(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(c.Args[:2], " "), err)
	}
	return nil
}

// logs returns what the parts have logged, to show why something is missing.
func (s *stage) logs() string {
	var b strings.Builder
	for _, pattern := range []string{"consume.log", "tail.log", "supervisord.log", "supernats-stderr*"} {
		files, _ := filepath.Glob(filepath.Join(s.dir, pattern))
		for _, f := range files {
			text, _ := os.ReadFile(f)
			fmt.Fprintf(&b, "--- %s\n%s", filepath.Base(f), text)
		}
	}
	return b.String()
}

// freeAddress returns an address of the loopback interface that nobody uses.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// waitFor waits until somebody listens.
func waitFor(address string) error {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(end) {
			return fmt.Errorf("supernats consume does not listen on %s after 20 s", address)
		}
	}
}

// table prints `supernats ps`.
func (s *stage) table() error {
	out, err := s.command("supernats", "ps", "-c", s.config(), "-o", "table").CombinedOutput()
	s.screen.section("supernats ps", string(out))
	if err != nil {
		return fmt.Errorf("supernats ps: %w", err)
	}
	return nil
}

// watch shows what happens until ctx ends.
func (s *stage) watch(ctx context.Context) error {
	_ = s.seen.wait(ctx)
	for {
		if err := s.table(); err != nil {
			return err
		}
		s.screen.line("(press Ctrl-C to stop; the table comes every 30 s)\n")
		select {
		case <-ctx.Done():
			s.screen.line("\nstopping")
			return nil
		case <-time.After(30 * time.Second):
		}
	}
}

// once shows what happens until everything was seen or ctx ends, and returns what is
// missing.
func (s *stage) once(ctx context.Context) []string {
	missing := s.seen.wait(ctx)
	if err := s.table(); err != nil {
		return append(missing, err.Error())
	}
	return append(missing, s.missingStates()...)
}
