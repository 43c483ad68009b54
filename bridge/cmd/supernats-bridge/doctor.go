package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"

	"supernats/bridge/doctor"
	"supernats/schema/program"
)

// doctorCmd examines this machine's supervisord and its sections of the bridge.
type doctorCmd struct {
	SupervisordConf string `placeholder:"FILE" help:"${help_supervisord_conf}"`
	OnlyWithSection bool   `hidden:"" env:"-" help:"Examine nothing if no section runs the bridge."`
	Output          string `short:"o" enum:"table,json,jsonl,auto" default:"auto" help:"${help_output}"`
}

// show prints what is wrong. The error says how much fails.
func (c doctorCmd) show(out *os.File) error {
	findings := doctor.Examine(context.Background(), doctor.Options{
		Conf: c.SupervisordConf, OnlyWithSection: c.OnlyWithSection, ReadFlags: readFlags,
	})
	form := c.Output
	if form == "auto" {
		form = doctor.FormJSONL
		if term.IsTerminal(int(out.Fd())) {
			form = doctor.FormTable
		}
	}

	if err := doctor.Print(out, findings, form); err != nil {
		return err
	}
	if n := doctor.Failed(findings); n > 0 {
		return fmt.Errorf("%d of %d checks failed", n, len(findings))
	}
	return nil
}

// readFlags reads the flags of a section's command.
func readFlags(args []string) (flags doctor.Flags, err error) {
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
	flags = doctor.Flags{
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
