package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"supernats/consumer/cmd/supernats/tables"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/consumer/testalert"
	"supernats/consumer/wording"
	"supernats/schema"
)

type testAlertCmd struct {
	Receiver string          `arg:"" optional:"" help:"${help_receiver}"`
	Timeout  schema.Duration `env:"-" default:"60s" help:"How long to wait for the receivers."`
	Resolve  bool            `env:"-" help:"Also send that it is over, for receivers that keep incidents."`
	outputFlag
}

// Run sends a notification the whole way, and waits for what becomes of it.
func (t *testAlertCmd) Run(ctx context.Context, c *common) error {
	if t.Timeout <= 0 {
		return usageError{errors.New("--timeout: invalid value 0: want a duration above zero")}
	}
	cfg, err := c.load()
	if err != nil {
		return err
	}

	return c.withReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
		queues, err := r.Queues(ctx)
		if err != nil {
			return err
		}
		chosen, notify, err := testalert.Choose(queues, t.Receiver, receiverNames(cfg))
		if err != nil {
			return err
		}
		outcomes, err := t.send(ctx, &testalert.Test{Reader: r, Queues: chosen, Notify: notify})
		if err != nil {
			return err
		}
		return t.print(outcomes)
	})
}

// send runs the test, with a line of progress on a terminal.
func (t *testAlertCmd) send(ctx context.Context, test *testalert.Test) ([]testalert.Outcome, error) {
	timeout := time.Duration(t.Timeout)
	clearLine := func() {
		if terminal.Is(os.Stderr) {
			fmt.Fprint(os.Stderr, "\r\x1b[K")
		}
	}

	test.Author, test.Timeout, test.Resolve = whoami(), timeout, t.Resolve
	test.OnFailure = func(receiver, failure string) {
		clearLine()
		terminal.Say("supernats: %s does not take it: %s", receiver, failure)
	}
	test.OnWait = func(receivers []string, waited time.Duration) {
		if terminal.Is(os.Stderr) {
			clearLine()
			fmt.Fprintf(os.Stderr, "waiting for %s (%s of %s)",
				terminal.Clean(strings.Join(receivers, ", ")), wording.Compact(waited), wording.Compact(timeout))
		}
	}
	test.OnWaited = clearLine
	return test.Run(ctx)
}

// print prints the outcomes. It is an error if a receiver did not get the test.
func (t *testAlertCmd) print(outcomes []testalert.Outcome) error {
	var err error
	if form := t.form(); form != terminal.FormTable {
		err = terminal.PrintJSON(os.Stdout, form, outcomes)
	} else {
		err = tables.Outcomes(outcomes).Print(os.Stdout)
	}
	if err != nil {
		return err
	}

	missed := 0
	for _, o := range outcomes {
		if o.Result != testalert.Delivered {
			missed++
		}
	}
	if missed > 0 {
		return fmt.Errorf("%d of %s did not get the test alert", missed,
			wording.Count(len(outcomes), "receiver", "receivers"))
	}
	return nil
}
