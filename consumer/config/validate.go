package config

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"supernats/consumer/config/strict"
	"supernats/consumer/rules"
	"supernats/schema"
	"supernats/schema/natsconn"
)

// minStore is the smallest embedded.max_store, maxReplicas what NATS allows.
const (
	minStore    = 1 << 20
	maxReplicas = 5
)

// problems are what is wrong beyond the types of the keys.
type problems []*strict.KeyError

func (p *problems) add(path, format string, args ...any) {
	*p = append(*p, &strict.KeyError{Path: path, Err: fmt.Errorf(format, args...)})
}

// section adds what a section reports of itself.
func (p *problems) section(path string, err error) {
	if err != nil {
		*p = append(*p, &strict.KeyError{Path: path, Err: err})
	}
}

func (p problems) err() error {
	errs := make([]error, len(p))
	for i, e := range p {
		errs[i] = e
	}
	return errors.Join(errs...)
}

// check reports everything that is wrong but for names in rules of receivers that are not
// there, see notify. The rules are nil if they are wrong.
func (c *Config) check() (*rules.Set, problems) {
	var p problems
	p.server(c)
	if c.Listen != "" && !isListen(c.Listen) {
		p.add("listen", "found %q, allowed is host:port, the port a number up to 65535, or nothing: ''", c.Listen)
	}
	p.receivers(c)
	p.limits(c.Limits)
	p.holds(c)
	for i, g := range c.Groups {
		if _, err := schema.ParseGlob(g); err != nil {
			p.add(fmt.Sprintf("groups[%d]", i), "found %q, allowed are names with *, ?, [a-z] and {a,b}", g)
		}
	}
	p.durations(c)

	set, err := c.CompileRules()
	p.rules(err)
	return set, p
}

// rules adds what is wrong in the rules by themselves.
func (p *problems) rules(err error) {
	for _, bad := range rules.Mistakes(err) {
		p.section("rules"+bad.Path, bad.Err)
	}
}

func (p *problems) durations(c *Config) {
	for _, d := range []struct {
		key   string
		value schema.Duration
		why   string
	}{
		{key: "group_interval", value: c.GroupInterval, why: "every event would be reported by itself"},
		{key: "repeat_interval", value: c.RepeatInterval, why: "an open alert would be repeated without end"},
		{key: "max_age", value: c.MaxAge, why: "no event would be young enough to be reported"},
	} {
		if d.value <= 0 {
			p.add(d.key, "found %v, allowed is a duration above zero: %s", d.value, d.why)
		}
	}

	for _, d := range []struct {
		key   string
		value schema.Duration
	}{
		{key: "group_wait", value: c.GroupWait},
		{key: "resolve_after", value: c.ResolveAfter},
		{key: "mute_restarts", value: c.MuteRestarts},
		{key: "forget_after", value: c.ForgetAfter},
	} {
		if d.value < 0 { // a file cannot have it, a program can
			p.add(d.key, "found %v, allowed are 0s and more", d.value)
		}
	}
}

func (p *problems) server(c *Config) {
	if err := c.NATS.Check(); err != nil {
		p.add("nats", "%s", strings.TrimPrefix(err.Error(), "nats: "))
	} else if c.Embeds() && c.Embedded.Config == "" && c.NATS.Settings != (natsconn.Settings{}) {
		p.add("nats", "credentials are set, but neither url nor context: the embedded server needs none")
	}
	if c.NATS.Replicas < 1 || c.NATS.Replicas > maxReplicas {
		p.add("nats.replicas", "found %d, allowed are 1 to %d", c.NATS.Replicas, maxReplicas)
	}

	if !isListen(c.Embedded.Listen) {
		p.add("embedded.listen", "found %q, allowed is host:port, the port a number up to 65535", c.Embedded.Listen)
	}
	p.serverFile(c)
	if c.Embedded.MaxStore < minStore {
		p.add("embedded.max_store", "found %v, allowed are %v or more", c.Embedded.MaxStore, schema.Size(minStore))
	}
}

// serverFile adds what is wrong in nats-server's own configuration file.
func (p *problems) serverFile(c *Config) {
	switch {
	case c.Embedded.Config == "" && c.Embedded.Account != "":
		p.add("embedded.account", "found %q, but no embedded.config: accounts are in that file", c.Embedded.Account)
	case c.Embedded.Config == "":
	case c.Embeds(): // if not, Warnings reports that the file is not used
		p.section("embedded.config", c.Server().CheckConfig())
	}
}

func isListen(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}
