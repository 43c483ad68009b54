// Package doctor examines an installation and says what is wrong with it, each finding
// with the command that fixes it. It changes nothing.
//
// Examine makes the checks of one list, in its order. A check that cannot be made hides no
// other: what this NATS user may not read is a finding too.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"supernats/consumer/inspect"
	"supernats/schema/checkup"
	"supernats/schema/stream"
)

// Installation is what is examined.
type Installation struct {
	// Reader reads what is stored, nil where NATS was not reached. Unreachable says why.
	Reader      *inspect.Reader
	Unreachable error
	// Guard watches the connection of Reader.
	Guard *inspect.Guard
	// Config is what `supernats consume` is configured to do.
	Config Configuration
	// Version is that of this program.
	Version string
	// Progress is called with how many of all checks are made; may be nil.
	Progress func(done, total uint64)

	// active says that a `supernats consume` is active. The check consume sets it for
	// those after it.
	active bool
}

// Configuration is what the checks need to know of the configuration file.
type Configuration struct {
	// File is its path, "" if there is none. Found says that nobody named it: it is the
	// system's.
	File  string
	Found bool
	// Err is what is wrong with the file; the other fields hold what is valid in it.
	Err error
	// Summary says how much is configured, Warnings what works, but not as it was written:
	// "what; how to fix it".
	Summary  string
	Warnings []string
	// Receivers are the names of those that are configured.
	Receivers []string
	Limits    stream.Limits
	// Listen is the address of the daemon's HTTP server, "" if it has none; TLS says that
	// the server may speak TLS.
	Listen string
	TLS    bool
	// Web is what the file says of the pages, Watchdogs are its dead man's switches.
	Web       Web
	Watchdogs []Watchdog
	// Escalations are the rules that escalate to each receiver, by its name.
	Escalations map[string][]string
}

// What a check rests on.
type foundation int

const (
	onNothing   foundation = iota // it is made in any case
	onServer                      // NATS was reached
	onJetStream                   // the checks nats and jetstream have not failed
)

// check is one thing that is examined.
type check struct {
	name  string
	needs foundation
	// run adds what it finds to a report. An error ends it; what is in the report by then
	// counts.
	run func(ctx context.Context, in *Installation, r *checkup.Report) error
}

// checks are made in this order.
var checks = []check{
	{"config", onNothing, checkConfig},
	{"nats", onNothing, checkServer},
	{"jetstream", onServer, checkJetStream},
	{"streams", onJetStream, checkStreams},
	{"buckets", onJetStream, checkBuckets},
	{"writes", onJetStream, checkWrites},
	{"ready", onNothing, checkReady},
	{"web", onNothing, checkWeb},
	{"watchdog", onNothing, checkWatchdogs},
	{"consume", onJetStream, checkConsume},
	{"events", onJetStream, checkEvents},
	{"receivers", onJetStream, checkReceivers},
	{"parked", onJetStream, checkParked},
	{"hosts", onJetStream, checkHosts},
}

// checkTimeout is how long one check may take.
const checkTimeout = 20 * time.Second

// Examine makes all checks that can be made.
func Examine(ctx context.Context, in *Installation) []checkup.Finding {
	var findings []checkup.Finding
	for i, c := range checks {
		if in.Progress != nil {
			in.Progress(uint64(i), uint64(len(checks)))
		}
		if c.needs > foundationOf(in, findings) {
			continue
		}
		findings = append(findings, c.makeCheck(ctx, in)...)
	}
	return findings
}

func foundationOf(in *Installation, findings []checkup.Finding) foundation {
	failed := slices.ContainsFunc(findings, func(f checkup.Finding) bool {
		return f.Status == checkup.Fail && (f.Check == "nats" || f.Check == "jetstream")
	})
	switch {
	case in.Reader == nil:
		return onNothing
	case failed:
		return onServer
	}
	return onJetStream
}

// makeCheck runs a check. What keeps it from its end is a finding as well.
func (c *check) makeCheck(ctx context.Context, in *Installation) []checkup.Finding {
	r := checkup.Report{Check: c.name}
	err := in.Guard.Run(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		return c.run(ctx, in, &r)
	})

	var denied *inspect.DeniedError
	switch {
	case errors.As(err, &denied):
		r.Warn(fmt.Sprintf("add %q to the %s permissions of this NATS user, or run this as another one",
			denied.Right(), denied.Verb),
			"cannot check: this NATS user may not %s %s", denied.Verb, denied.Subject)
	case err != nil:
		r.Fail("fix what stands above, then run `supernats doctor` again", "%v", err)
	}

	return r.Findings
}
