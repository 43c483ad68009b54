package alertcmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/cmd/supernats/tables"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/consumer/testalert"
	"supernats/consumer/wording"
	"supernats/schema"
)

// TestAlert is the command test-alert.
type TestAlert struct {
	Receiver string          `arg:"" optional:"" help:"${help_receiver}"`
	Timeout  schema.Duration `env:"-" default:"60s" help:"How long to wait for the receivers."`
	Resolve  bool            `env:"-" help:"Also send that it is over, for receivers that keep incidents."`
	frame.OutputFlag
}

// Examples are shown below the help.
func (*TestAlert) Examples() []string {
	return []string{
		"supernats test-alert",
		"supernats test-alert mail/ops@example.com --timeout 2m",
		"supernats test-alert pager --resolve",
	}
}

// Run sends a notification the whole way, and waits for what becomes of it.
func (t *TestAlert) Run(ctx context.Context, c *frame.Flags) error {
	if t.Timeout <= 0 {
		return frame.UsageError{Err: errors.New("--timeout: invalid value 0: want a duration above zero")}
	}
	cfg, err := c.Load()
	if err != nil {
		return err
	}

	return c.WithReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
		queues, err := r.Queues(ctx)
		if err != nil {
			return err
		}
		chosen, notify, err := testalert.Choose(queues, t.Receiver, cfg.ReceiverNames())
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

// send runs the test, and says meanwhile who is waited for.
func (t *TestAlert) send(ctx context.Context, test *testalert.Test) ([]testalert.Outcome, error) {
	var waiting atomic.Value // the text of the line
	line := terminal.NewStatusLine(false, func(width int) string {
		text, _ := waiting.Load().(string)
		return terminal.Clip(text, width)
	})
	defer line.Close()

	test.Author, test.Timeout, test.Resolve = frame.Author(), time.Duration(t.Timeout), t.Resolve
	test.OnFailure = func(receiver, failure string) {
		terminal.Say("supernats: %s does not take it: %s", receiver, failure)
	}
	test.OnHold = func(receiver, hold string) { terminal.Say("supernats: %s: %s", receiver, hold) }
	test.OnWait = func(receivers []string, waited time.Duration) {
		waiting.Store(fmt.Sprintf("waited %s of %s for %s",
			wording.Compact(waited), wording.Compact(test.Timeout), strings.Join(receivers, ", ")))
	}
	return test.Run(ctx)
}

// print prints the outcomes. It is an error if a receiver did not get the test.
func (t *TestAlert) print(outcomes []testalert.Outcome) error {
	if err := frame.Print(&t.OutputFlag, outcomes, tables.Outcomes(outcomes).Print); err != nil {
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
