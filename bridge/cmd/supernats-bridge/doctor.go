package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"golang.org/x/term"

	"supernats/bridge/doctor"
	"supernats/bridge/listeners"
	"supernats/schema/checkup"
	"supernats/schema/program"
)

// doctorCmd examines this machine's supervisord and its sections of the bridge.
type doctorCmd struct {
	SupervisordConf string `placeholder:"FILE" help:"${help_supervisord_conf}"`
	OnlyWithSection bool   `hidden:"" env:"-" help:"Examine nothing if no section runs the bridge."`
	InThisProcess   bool   `hidden:"" env:"-" help:"Examine in this process, which may hang with a file system."`
	Output          string `short:"o" enum:"table,json,jsonl,auto" default:"auto" help:"${help_output}"`
}

// show prints what is wrong. The error says how much fails.
func (c doctorCmd) show(out *os.File) error {
	form := c.Output
	if form == "auto" {
		form = formJSONL
		if term.IsTerminal(int(out.Fd())) {
			form = formTable
		}
	}

	findings, err := c.examine()
	if err != nil {
		return err
	}
	if err := printFindings(out, findings, form); err != nil {
		return err
	}
	return checkup.Error(findings)
}

// examine examines in a process of its own, since a process that waits for a file system that
// does not answer cannot end before that does: it is left alone then.
func (c doctorCmd) examine() ([]checkup.Finding, error) {
	if c.InThisProcess {
		return doctor.Examine(context.Background(), doctor.Options{
			Conf: c.SupervisordConf, OnlyWithSection: c.OnlyWithSection, ReadFlags: readFlags,
		}), nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}

	args := []string{"doctor", "--in-this-process", "-o", "json"}
	if c.OnlyWithSection {
		args = append(args, "--only-with-section")
	}
	if c.SupervisordConf != "" {
		args = append(args, "--supervisord-conf", c.SupervisordConf)
	}
	text, err := readOutput(exec.Command(self, args...), doctor.Timeout+5*time.Second)
	if err != nil {
		return nil, err
	}
	var findings []checkup.Finding
	if err := json.Unmarshal(text, &findings); err != nil {
		return nil, fmt.Errorf("examine: %w", err)
	}
	return findings, nil
}

// readOutput returns what a command prints. It waits for the end of that, and not for the
// end of the process. The process has none of our files: whoever reads those would wait for
// it too.
func readOutput(c *exec.Cmd, limit time.Duration) ([]byte, error) {
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	defer func() {
		_ = c.Process.Kill()
		go func() { _ = c.Wait() }()
	}()

	if pipe, ok := out.(*os.File); ok {
		_ = pipe.SetReadDeadline(time.Now().Add(limit))
	}
	var text json.RawMessage
	switch err := json.NewDecoder(out).Decode(&text); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("it has not ended within %v: a file system or a server does not answer", limit)
	case err != nil:
		return nil, fmt.Errorf("it ended without an answer: %w", err)
	}
	return text, nil
}

// readFlags reads the flags of a section's command.
func readFlags(args []string) (flags listeners.Flags, err error) {
	var c cli
	k, _, err := commandLine().Read(&c, args)
	if err != nil {
		return flags, err
	}
	if k == nil || k.Command() != "run" {
		return flags, errors.New("it is no command line of a bridge")
	}
	if err := errors.Join(c.CheckValues(), c.NATS.Check()); err != nil {
		return flags, err
	}

	host, _ := os.Hostname()
	flags = listeners.Flags{
		Host: cmp.Or(c.Host, host), SpoolDir: c.SpoolDir, ServerURL: c.ServerURL,
		Drain: c.Drain, Skip: c.Skip, NATS: c.NATS, Files: map[string]string{},
	}
	for flag, file := range map[string]string{
		"nats-creds": c.NATS.CredsFile, "nats-nkey": c.NATS.NkeyFile, "nats-password-file": c.NATS.PasswordFile,
		"nats-token-file": c.NATS.TokenFile, "nats-tls-ca": c.NATS.TLS.CA, "nats-tls-cert": c.NATS.TLS.Cert,
		"nats-tls-key": c.NATS.TLS.Key, "web-config": c.WebConfig,
	} {
		if file != "" {
			flags.Files[flag] = file
		}
	}
	return flags, nil
}

// examine runs the command doctor.
func examine(c doctorCmd) int {
	if err := c.show(os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return program.ExitFailed
	}
	return program.ExitDone
}
