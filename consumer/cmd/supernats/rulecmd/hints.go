package rulecmd

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/config"
	"supernats/consumer/inspect"
)

// fleetTimeout is how long the fleet is waited for.
const fleetTimeout = 2 * time.Second

// globPlace is where a glob stands in a configuration, and what it chooses.
type globPlace struct{ label, flag, glob string }

func globPlaces(cfg *config.Config) (list []globPlace) {
	add := func(key, flag string, globs []string) {
		for i, g := range globs {
			list = append(list, globPlace{fmt.Sprintf("%s[%d]", key, i), flag, g})
		}
	}

	add("groups", "group", cfg.Groups)
	for i, r := range cfg.Rules {
		at := fmt.Sprintf("rules[%d].", i)
		add(at+"hosts", "host", r.Hosts)
		add(at+"groups", "group", r.Groups)
		add(at+"processes", "process", r.Processes)
	}
	return list
}

// hintsFor are about globs that are valid and match nothing: about those that look like a
// regular expression in any case, about others if the fleet can be reached.
func hintsFor(ctx context.Context, c *frame.Flags, cfg *config.Config) (hints []string) {
	places := globPlaces(cfg)
	if len(places) == 0 {
		return nil
	}

	known, err := fleetNames(ctx, c, cfg)
	for _, p := range places {
		switch {
		case err == nil && len(known[p.flag]) > 0:
			if hint := inspect.GlobHint(p.label, p.flag, p.glob, known[p.flag]); hint != "" {
				hints = append(hints, hint)
			}
		case inspect.IsRegexp(p.glob):
			hints = append(hints, fmt.Sprintf("%s %q looks like a regular expression, and "+
				"globs are meant: *, ?, [a-z] and {a,b}", p.label, p.glob))
		}
	}
	return hints
}

// fleetNames reads the names of the fleet that a configuration is for. Whether it can be
// reached does not matter to the configuration.
func fleetNames(ctx context.Context, c *frame.Flags, cfg *config.Config) (names inspect.KnownNames, err error) {
	ctx, cancel := context.WithTimeout(ctx, fleetTimeout)
	defer cancel()
	merged, err := c.ApplyFlags(*cfg)
	if err != nil {
		return nil, err
	}

	var g inspect.Guard
	settings := merged.Client()
	nc, err := settings.Connect("supernats",
		nats.RetryOnFailedConnect(false), nats.Timeout(fleetTimeout/2), nats.ErrorHandler(g.HandleError))
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(fleetTimeout))
	if err != nil {
		return nil, err
	}

	err = g.Run(ctx, func(ctx context.Context) error {
		known, err := frame.NewReader(js).Known(ctx)
		if err == nil {
			names = known.Names
		}
		return err
	})
	return names, err
}
