package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"supernats/schema"
)

// Options are the settings that all rules share. A rule's own win.
type Options struct {
	// Groups are globs of the groups that reach the rules; empty: all.
	Groups []string
	// GroupWait is the time from an alert's opening to its first notification,
	// GroupInterval from one to the next if more has matched, RepeatInterval if
	// nothing has; 0 of these two is at once and never. ResolveAfter is how long a
	// process must have been well.
	GroupWait, GroupInterval, RepeatInterval, ResolveAfter time.Duration
	SendResolved                                           bool
	// MuteRestarts is how long at most a host's alerts are held back from its
	// supervisord's stopping to its running again; 0 turns it off.
	MuteRestarts time.Duration
}

// Defaults are the rules of an installation that has written none: a process
// exited unexpectedly; supervisord gave up starting one (a program that dies
// before its startsecs never exits: it goes from BACKOFF to FATAL) or has lost one
// that it could not kill; a host sends nothing any more; events of a host were lost;
// a bridge cannot do its work, or something else is wrong with a host.
func Defaults() []Config {
	unexpected, silent := false, List{"host-silent"}
	return []Config{
		{Name: "unexpected-exit", Event: List{schema.ProcessStateExited}, Expected: &unexpected, Severity: "critical", InhibitedBy: silent},
		{Name: "fatal", Event: List{schema.ProcessStateFatal}, Severity: "critical", InhibitedBy: silent},
		{Name: "unknown", State: List{"UNKNOWN"}, Severity: "critical", InhibitedBy: silent},
		{Name: "host-silent", Silent: schema.Duration(3 * time.Minute), Severity: "critical"},
		{Name: "loss", Loss: true, Severity: "warning"},
		{Name: "bridge-trouble", Trouble: List{"true"}, Severity: "warning"},
	}
}

// ConfigError is what is wrong with a rule: what was found and what is allowed.
type ConfigError struct {
	// Path is below the section rules, "[2].if".
	Path string
	Err  error
}

func (e *ConfigError) Error() string { return e.Path + ": " + e.Err.Error() }
func (e *ConfigError) Unwrap() error { return e.Err }

// Mistakes returns each *ConfigError in an error of Compile.
func Mistakes(err error) (found []*ConfigError) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			found = append(found, Mistakes(e)...)
		}
		return found
	}
	var c *ConfigError
	if errors.As(err, &c) {
		found = append(found, c)
	}
	return found
}

// Set is rules that were found to be right. It is read only, so several engines
// may share one.
type Set struct {
	rules   []*rule
	byEvent map[string][]*rule // by every name known
	events  []*rule            // all rules over events, for names not known
	states  []*rule            // rules over states, quorum too
	silent  []*rule
	loss    []*rule
	// troubles are rules over what is wrong with hosts and their bridges.
	troubles []*rule
	groups   []glob
	mute     time.Duration // Options.MuteRestarts
}

// rule is a Config that was checked.
type rule struct {
	name, kind, severity string
	index                int
	// rank orders what is due at one time: a rule's is above that of all that
	// inhibit it.
	rank int

	events   []eventName
	expected *bool
	oom      *bool
	program  *program
	count    int
	within   time.Duration
	states   []string
	forTime  time.Duration
	quorum   int
	silent   time.Duration
	causes   causes

	hosts, groups, processes   []glob
	labels, annotations        []text
	notify                     []string
	muteDuring                 []interval
	inhibitedBy                []*rule
	inhibits                   bool
	byHost, byGroup, byProcess bool

	groupWait, groupInterval, repeatInterval, resolveAfter time.Duration
	sendResolved                                           bool
}

// many reports whether an alert of the rule may be about several processes.
func (r *rule) many() bool { return !r.byHost || !r.byGroup || !r.byProcess }

// selects reports whether the rule is about a process.
func (r *rule) selects(host, group, process string) bool {
	return matchAny(r.hosts, host) && matchAny(r.groups, group) && matchAny(r.processes, process)
}

// onlyUnknown reports whether the rule is about processes that supervisord has lost:
// one is well again as soon as it is known what became of it.
func (r *rule) onlyUnknown() bool { return len(r.states) == 1 && r.states[0] == "UNKNOWN" }

// inState reports whether a process is in one of the rule's states.
func (r *rule) inState(state string, expected *bool) bool {
	if !slices.Contains(r.states, state) {
		return false
	}
	return r.expected == nil || state != "EXITED" || expected != nil && *expected == *r.expected
}

// key is that of the alert of a process.
func (r *rule) key(host, group, process string) key {
	k := key{rule: r.index}
	if r.byHost {
		k.host = host
	}
	if r.byGroup {
		k.group = group
	}
	if r.byProcess {
		k.process = process
	}
	return k
}

// Compile checks rules and makes them ready to be used; an error joins a
// *ConfigError for each mistake.
func Compile(set []Config, o Options) (*Set, error) {
	s := &Set{byEvent: map[string][]*rule{}, groups: globs(o.Groups), mute: o.MuteRestarts}
	names := map[string]int{}
	var errs []error
	for i, c := range set {
		r, err := compileRule(c, o)
		if first, ok := names[c.Name]; ok && c.Name != "" {
			err = errors.Join(err, at("name", fmt.Errorf("found %q, which is the name of rules[%d] too; every rule needs a name of its own", c.Name, first)))
		} else {
			names[c.Name] = i
		}
		if err != nil {
			errs = append(errs, below(fmt.Sprintf("[%d]", i), err))
		}
		r.index = i
		s.rules = append(s.rules, r)
	}
	if err := errors.Join(append(errs, s.inhibitions(set))...); err != nil {
		return nil, err
	}
	s.sort()
	return s, nil
}

// sort puts the rules where they are looked up.
func (s *Set) sort() {
	for _, r := range s.rules {
		switch r.kind {
		case schema.KindEvent:
			s.events = append(s.events, r)
		case schema.KindSilent:
			s.silent = append(s.silent, r)
		case schema.KindLoss:
			s.loss = append(s.loss, r)
		case schema.KindTrouble:
			s.troubles = append(s.troubles, r)
		default:
			s.states = append(s.states, r)
		}
	}
	for _, name := range schema.Names() {
		s.byEvent[name] = s.lookUp(name)
	}
}

// forEvent returns the rules that look at events of a name.
func (s *Set) forEvent(name string) []*rule {
	if rules, ok := s.byEvent[name]; ok {
		return rules
	}
	return s.lookUp(name)
}

func (s *Set) lookUp(name string) (found []*rule) {
	for _, r := range s.events {
		if slices.ContainsFunc(r.events, func(e eventName) bool { return e.match(name) }) {
			found = append(found, r)
		}
	}
	return found
}

// at and below build the path of a ConfigError from its end.
func at(key string, err error) *ConfigError { return &ConfigError{Path: "." + key, Err: err} }

func below(path string, err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, below(path, e))
		}
		return errors.Join(errs...)
	}
	var c *ConfigError
	if !errors.As(err, &c) {
		return &ConfigError{Path: path, Err: err}
	}
	return &ConfigError{Path: path + c.Path, Err: c.Err}
}

// element names an entry of a list; a text that stands for a list has none.
func element(key string, list []string, i int) string {
	if len(list) == 1 {
		return key
	}
	return fmt.Sprintf("%s[%d]", key, i)
}

// compileRule returns a rule even if something is wrong with it, so that those that
// name it are not wrong too.
func compileRule(c Config, o Options) (*rule, error) {
	var errs []error
	r := &rule{name: c.Name, severity: c.Severity, notify: c.Notify}
	if err := checkName(c.Name); err != nil {
		errs = append(errs, at("name", err))
	}
	if r.severity == "" {
		r.severity = "warning"
	}
	if !isWord(r.severity) {
		errs = append(errs, at("severity", fmt.Errorf("found %q, allowed is one word: critical, warning, info or another", c.Severity)))
	}
	// The kind is first: what the others allow depends on it.
	for _, check := range []func(*rule, Config) error{
		compileKind, compileMatch, compileSelectors, compileGroupBy, compileTexts, compileIntervals,
	} {
		errs = append(errs, check(r, c))
	}
	return r, errors.Join(append(errs, compileTimes(r, c, o))...)
}

const maxName = 64

func checkName(name string) error {
	if name == "" {
		return errors.New("is missing; every rule needs a name, which is part of its alerts' ids")
	}
	if len(name) > maxName || !isWord(name) || strings.Contains(name, "/") {
		return fmt.Errorf("found %q, allowed are up to %d bytes without spaces and '/'", clip(name), maxName)
	}
	return nil
}

func isWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == unicode.ReplacementChar
	})
}

func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}

func compileSelectors(r *rule, c Config) error {
	var errs []error
	for _, l := range []struct {
		key  string
		list List
		to   *[]glob
	}{{"hosts", c.Hosts, &r.hosts}, {"groups", c.Groups, &r.groups}, {"processes", c.Processes, &r.processes}} {
		for i, g := range l.list {
			if err := checkGlob(g); err != nil {
				errs = append(errs, at(element(l.key, l.list, i), err))
			}
		}
		*l.to = globs(l.list)
	}
	return errors.Join(errs...)
}

// compileGroupBy finds out what makes one alert.
func compileGroupBy(r *rule, c Config) error {
	words := map[string][]string{
		schema.KindEvent: {"host", "group", "process"}, schema.KindState: {"host", "group", "process"},
		schema.KindQuorum: {"host", "group"}, schema.KindSilent: {"host"}, schema.KindLoss: {"host"}, schema.KindTrouble: {"host"},
	}[r.kind]
	by := []string(c.GroupBy)
	var errs []error
	for i, w := range by {
		if r.kind != "" && !slices.Contains(words, w) {
			errs = append(errs, at(element("group_by", by, i), fmt.Errorf("found %q, allowed for a rule of kind %s are %s", w, r.kind, strings.Join(words, ", "))))
		}
	}
	if r.kind == "" { // it is wrong, but its kind is to blame
		by = []string{"host", "group", "process"}
	}
	if len(by) == 0 {
		by = words
	}
	r.byHost, r.byGroup, r.byProcess = slices.Contains(by, "host"), slices.Contains(by, "group"), slices.Contains(by, "process")
	if r.kind == schema.KindSilent || r.kind == schema.KindLoss || r.kind == schema.KindTrouble { // about no process, so about one thing
		r.byGroup, r.byProcess = true, true
	}
	return errors.Join(errs...)
}

// compileTimes takes a rule's own settings, or the shared ones.
func compileTimes(r *rule, c Config, o Options) error {
	var errs []error
	for _, d := range []struct {
		key    string
		own    *schema.Duration
		shared time.Duration
		to     *time.Duration
		why    string // not to be zero
	}{
		{"group_wait", c.GroupWait, o.GroupWait, &r.groupWait, ""},
		{"group_interval", c.GroupInterval, o.GroupInterval, &r.groupInterval, "every event would be told by itself"},
		{"repeat_interval", c.RepeatInterval, o.RepeatInterval, &r.repeatInterval, "an open alert would be repeated without end"},
		{"resolve_after", c.ResolveAfter, o.ResolveAfter, &r.resolveAfter, ""},
	} {
		*d.to = d.shared
		if d.own != nil {
			*d.to = time.Duration(*d.own)
		}
		if *d.to < 0 {
			errs = append(errs, at(d.key, fmt.Errorf("found %v, allowed is a duration that is not negative", schema.Duration(*d.to))))
		}
		if d.own != nil && *d.own == 0 && d.why != "" {
			errs = append(errs, at(d.key, fmt.Errorf("found 0s, allowed is a duration above zero: %s", d.why)))
		}
	}
	r.sendResolved = o.SendResolved
	if c.SendResolved != nil {
		r.sendResolved = *c.SendResolved
	}
	return errors.Join(errs...)
}
