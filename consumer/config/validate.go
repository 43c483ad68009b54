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

// addSection adds what a section reports of itself.
func (p *problems) addSection(path string, err error) {
	if err != nil {
		*p = append(*p, &strict.KeyError{Path: path, Err: err})
	}
}

func (p problems) joined() error {
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
	p.checkServer(c)
	if c.Listen != "" && !isListen(c.Listen) {
		p.add("listen", "invalid value %q: want host:port, the port a number up to 65535, or nothing: ''",
			c.Listen)
	}
	p.checkSite(c)
	p.checkWatchdogs(c)
	p.checkReceivers(c)
	p.checkLimits(c.Limits)
	p.checkHolds(c)
	for i, g := range c.Groups {
		if _, err := schema.ParseGlob(g); err != nil {
			p.add(fmt.Sprintf("groups[%d]", i),
				"invalid value %q: want a name, or a glob with *, ?, [a-z] and {a,b}", g)
		}
	}
	p.checkDurations(c)

	set, err := c.CompileRules()
	p.addRules(err)
	return set, p
}

// addRules adds what is wrong in the rules by themselves.
func (p *problems) addRules(err error) {
	for _, bad := range rules.Mistakes(err) {
		p.addSection("rules"+bad.Path, bad.Err)
	}
}

func (p *problems) checkDurations(c *Config) {
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
			p.add(d.key, "invalid value %v: want a duration above zero: %s", d.value, d.why)
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
			p.add(d.key, "invalid value %v: want 0s or more", d.value)
		}
	}
}

func (p *problems) checkServer(c *Config) {
	if err := c.NATS.Check(); err != nil {
		p.add("nats", "%s", strings.TrimPrefix(err.Error(), "nats: "))
	} else if c.Embeds() && c.Embedded.Config == "" && c.NATS.Settings != (natsconn.Settings{}) {
		p.add("nats", "credentials are set, but neither url nor context: the embedded server needs none")
	}
	if c.NATS.Replicas < 1 || c.NATS.Replicas > maxReplicas {
		p.add("nats.replicas", "invalid value %d: want 1 to %d", c.NATS.Replicas, maxReplicas)
	}

	if !isListen(c.Embedded.Listen) {
		p.add("embedded.listen", "invalid value %q: want host:port, the port a number up to 65535", c.Embedded.Listen)
	}
	p.checkServerFile(c)
	if c.Embedded.MaxStore < minStore {
		p.add("embedded.max_store", "invalid value %v: want %v or more", c.Embedded.MaxStore, schema.Size(minStore))
	}
}

// checkServerFile adds what is wrong in nats-server's own configuration file.
func (p *problems) checkServerFile(c *Config) {
	switch {
	case c.Embedded.Config == "" && c.Embedded.Account != "":
		p.add("embedded.account", "found %q, but no embedded.config: accounts are in that file", c.Embedded.Account)
	case c.Embedded.Config == "":
	case c.Embeds(): // if not, Warnings reports that the file is not used
		p.addSection("embedded.config", c.Server().CheckConfig())
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
