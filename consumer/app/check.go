package app

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"strings"

	"supernats/consumer/rules"
	"supernats/schema"
	"supernats/schema/natsconn"
)

// keyError is an error of one key; its path is that of the file, "mail.from".
type keyError struct {
	path string
	err  error
}

func (e *keyError) Error() string { return e.path + ": " + e.err.Error() }
func (e *keyError) Unwrap() error { return e.err }

// problems are what is wrong beyond the types of the keys.
type problems []*keyError

func (p *problems) add(path, format string, args ...any) {
	*p = append(*p, &keyError{path, fmt.Errorf(format, args...)})
}

// section adds what a section says of itself.
func (p *problems) section(path string, err error) {
	if err != nil {
		*p = append(*p, &keyError{path, err})
	}
}

// validate reports everything that is wrong.
func (c *Config) validate() error {
	p := c.check()
	p.notify(c)
	return p.err()
}

func (p problems) err() error {
	errs := make([]error, len(p))
	for i, e := range p {
		errs[i] = e
	}
	return errors.Join(errs...)
}

// check is validate without the names of receivers in rules.
func (c *Config) check() problems {
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
	for _, d := range []struct {
		key   string
		value schema.Duration
		why   string
	}{
		{"group_interval", c.GroupInterval, "every event would be told by itself"},
		{"repeat_interval", c.RepeatInterval, "an open alert would be repeated without end"},
		{"max_age", c.MaxAge, "no event would be young enough to be told"},
	} {
		if d.value <= 0 {
			p.add(d.key, "found %v, allowed is a duration above zero: %s", d.value, d.why)
		}
	}
	for _, d := range []struct {
		key   string
		value schema.Duration
	}{{"group_wait", c.GroupWait}, {"resolve_after", c.ResolveAfter}, {"mute_restarts", c.MuteRestarts}, {"forget_after", c.ForgetAfter}} {
		if d.value < 0 { // no file can say so, a program can
			p.add(d.key, "found %v, allowed are 0s and more", d.value)
		}
	}
	p.rules(compileRules(*c))
	return p
}

// rules adds what is wrong in the rules by themselves.
func (p *problems) rules(err error) {
	for _, bad := range rules.Mistakes(err) {
		p.section("rules"+bad.Path, bad.Err)
	}
}

func (p *problems) server(c *Config) {
	if err := c.NATS.Check(); err != nil {
		p.add("nats", "%s", strings.TrimPrefix(err.Error(), "nats: "))
	} else if c.embeds() && c.Embedded.Config == "" && c.NATS.Settings != (natsconn.Settings{}) {
		p.add("nats", "credentials are set, but neither url nor context: the embedded server needs none")
	}
	if c.NATS.Replicas < 1 || c.NATS.Replicas > 5 {
		p.add("nats.replicas", "found %d, allowed are 1 to 5", c.NATS.Replicas)
	}
	if !isListen(c.Embedded.Listen) {
		p.add("embedded.listen", "found %q, allowed is host:port, the port a number up to 65535", c.Embedded.Listen)
	}
	p.embedded(c)
	if c.Embedded.MaxStore < 1<<20 {
		p.add("embedded.max_store", "found %v, allowed are 1MiB or more", c.Embedded.MaxStore)
	}
}

// embedded adds what is wrong in nats-server's own configuration file.
func (p *problems) embedded(c *Config) {
	if c.Embedded.Config == "" {
		if c.Embedded.Account != "" {
			p.add("embedded.account", "found %q, but no embedded.config: accounts are in that file", c.Embedded.Account)
		}
		return
	}
	if !c.embeds() {
		return // Warnings says so
	}
	user, err := newInProcessUser()
	if err == nil {
		_, _, err = c.serverOptions(user)
	}
	// A command is often run by somebody who may not read the file.
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		p.add("embedded.config", "%s", strings.TrimPrefix(strings.TrimPrefix(err.Error(), "embedded.config: "), "embedded.config "))
	}
}

// compileRules reports what is wrong in the rules by themselves, see rules.Mistakes.
func compileRules(c Config) error {
	_, err := compile(c)
	return err
}

func isListen(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}
