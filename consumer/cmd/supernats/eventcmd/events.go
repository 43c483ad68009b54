// Package eventcmd has the commands that print events: tail and replay.
package eventcmd

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"supernats/consumer"
	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/history"
	"supernats/consumer/terminal"
	"supernats/schema"
)

// HelpTexts are the texts that are too long for the tags of this package.
func HelpTexts() kong.Vars {
	return kong.Vars{
		"help_speed": "How fast: max, or as it happened (1), or ten times as fast (10). " +
			"Of long silences at most ten seconds pass, and stderr says how long they were.",
		"help_publish": "Do not print the events: publish each again on PREFIX and its subject, " +
			"for any subscriber, with its headers but for those of NATS itself.",
	}
}

// filterOf is the filter of flags that choose events of supervisor.
func filterOf(f *frame.EventFlags) (consumer.Filter, error) {
	filter, err := f.Filter()
	if err != nil {
		return filter, err
	}
	for _, name := range filter.Events {
		if strings.HasPrefix(name, schema.TypeBridgePrefix) {
			return filter, frame.UsageError{Err: fmt.Errorf("--event: %q is not an event of supervisor: "+
				"`supernats alerts` and `supernats hosts` show what the bridges report themselves", name)}
		}
	}
	return filter, nil
}

// printer prints events to stdout.
type printer struct{ *terminal.EventPrinter }

func newPrinter(form string) printer { return printer{terminal.NewEventPrinter(os.Stdout, form)} }

func (p printer) finish(context.Context) error { return p.End() }

func (p printer) handle(ev *history.Event) error { return p.Print(ev.Message.Data(), ev.CloudEvent) }
