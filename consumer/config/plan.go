package config

import (
	"time"

	"supernats/consumer/rules"
	"supernats/schema"
)

// Plan is a valid configuration, with its rules compiled. Only Config.Plan makes one, so
// nobody checks it again. It is not changed.
type Plan struct {
	Config Config
	Rules  *rules.Set
}

// Plan returns the valid configuration, or everything that is wrong, a line for each
// mistake. It is for settings that come from a file and from flags, or from a program.
func (c Config) Plan() (*Plan, error) {
	set, found := c.check()
	found.checkNotify(&c)
	if err := found.joined(); err != nil {
		return nil, err
	}
	return &Plan{Config: c, Rules: set}, nil
}

// CompileRules returns the rules that are in force; its error is a *rules.ConfigError.
// The receivers that they name need not exist: a backtest sends nothing.
func (c *Config) CompileRules() (*rules.Set, error) {
	// What is wrong with a span is reported at its own key.
	span := func(d schema.Duration) time.Duration { return max(0, time.Duration(d)) }
	return rules.Compile(c.rulesInForce(), rules.Options{
		Groups:         c.Groups,
		GroupWait:      span(c.GroupWait),
		GroupInterval:  span(c.GroupInterval),
		RepeatInterval: span(c.RepeatInterval),
		ResolveAfter:   span(c.ResolveAfter),
		SendResolved:   c.SendResolved,
		MuteRestarts:   span(c.MuteRestarts),
	})
}
