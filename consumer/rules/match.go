package rules

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"supernats/schema"
)

// slash stands for '/' in globs and names: they are no paths, so it is a
// character like others.
const slash = "\x00"

const metacharacters = `*?[{\`

// glob is a pattern of names; one without metacharacters is just compared.
type glob struct {
	text  string
	plain bool
}

func globs(list []string) []glob {
	all := make([]glob, 0, len(list))
	for _, g := range list {
		plain := !strings.ContainsAny(g, metacharacters)
		if !plain {
			g = strings.ReplaceAll(g, "/", slash)
		}
		all = append(all, glob{g, plain})
	}
	return all
}

func (g glob) match(name string) bool {
	if g.plain {
		return g.text == name
	}
	return g.text == "*" || doublestar.MatchUnvalidated(g.text, strings.ReplaceAll(name, "/", slash))
}

// matchAny reports whether a name matches one of the globs, or there are none.
func matchAny(all []glob, name string) bool {
	for _, g := range all {
		if g.match(name) {
			return true
		}
	}
	return len(all) == 0
}

func checkGlob(g string) error {
	if g == "" || !doublestar.ValidatePattern(strings.ReplaceAll(g, "/", slash)) {
		return fmt.Errorf("found %q, allowed are names with *, ?, [a-z] and {a,b}", clip(g))
	}
	return nil
}

// eventName is the name of an event, an abstract one, or a glob of names.
type eventName struct {
	name string
	glob glob
}

func (n eventName) match(event string) bool {
	return schema.Is(event, n.name) || !n.glob.plain && n.glob.match(event)
}

// regexpSign is what regular expressions have, and names of events and their globs
// do not.
var regexpSign = regexp.MustCompile(`\.[*+?]|^\^|\$$|[()|]`)

func compileEvents(list List) (events []eventName, err error) {
	known := append(schema.Names(), schema.Families()...)
	var errs []error
	for i, name := range list {
		g := globs([]string{name})[0]
		switch err := checkGlob(name); {
		case g.plain && !slices.Contains(known, name):
			errs = append(errs, at(element("event", list, i), fmt.Errorf("found %q, allowed are supervisor's names (abstract ones too) and globs of names%s", clip(name), suggest(name, known))))
		case err != nil:
			errs = append(errs, at(element("event", list, i), err))
		case regexpSign.MatchString(name):
			errs = append(errs, at(element("event", list, i), fmt.Errorf("found %q, which looks like a regular expression and matches no event; allowed are supervisor's names and globs of names: PROCESS_STATE_*", clip(name))))
		default:
			events = append(events, eventName{name, g})
		}
	}
	return events, errors.Join(errs...)
}

var processStates = []string{"STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL", "UNKNOWN"}

func compileStates(list List) ([]string, error) {
	var errs []error
	for i, name := range list {
		if !slices.Contains(processStates, name) {
			errs = append(errs, at(element("state", list, i), fmt.Errorf("found %q, allowed are %s%s", clip(name), strings.Join(processStates, ", "), suggest(name, processStates))))
		}
	}
	return list, errors.Join(errs...)
}

// suggest names the one that was meant, if it is plain which.
func suggest(name string, known []string) string {
	if best := Nearest(name, known); best != "" {
		return "; did you mean " + best + "?"
	}
	return ""
}

// Nearest returns the name that was meant, or nothing if it is not plain which.
func Nearest(name string, known []string) string {
	if len(name) > 200 {
		return ""
	}
	best, least := "", len(name)/2+1
	for _, k := range known {
		if d := distance(strings.ToUpper(name), strings.ToUpper(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// program is a compiled expression.
type program = vm.Program

// environment is what an expression sees of an event, by the event's names in
// JSON. What an event does not have is the zero value of its type; exit.known
// and expected_known tell such a zero from a real one.
type environment struct {
	Event         string            `expr:"event"`
	Host          string            `expr:"host"`
	Server        string            `expr:"server"`
	Group         string            `expr:"group"`
	Process       string            `expr:"process"`
	FromState     string            `expr:"from_state"`
	Expected      bool              `expr:"expected"`
	ExpectedKnown bool              `expr:"expected_known"`
	PID           int               `expr:"pid"`
	Tries         int               `expr:"tries"`
	Channel       string            `expr:"channel"`
	Type          string            `expr:"type"`
	Data          string            `expr:"data"`
	Exit          exit              `expr:"exit"`
	Ran           float64           `expr:"ran"`
	RanKnown      bool              `expr:"ran_known"`
	Last          look              `expr:"last"`
	Log           logs              `expr:"log"`
	Extra         map[string]string `expr:"extra"`
	Time          time.Time         `expr:"time"`
}

type exit struct {
	Known    bool   `expr:"known"`
	Code     int    `expr:"code"`
	Signal   string `expr:"signal"`
	Core     bool   `expr:"core"`
	SpawnErr string `expr:"spawnerr"`
	Source   string `expr:"source"`
	OOM      oom    `expr:"oom"`
}

type oom struct {
	Known  bool   `expr:"known"`
	Cgroup string `expr:"cgroup"`
	Limit  int    `expr:"limit"`
	Peak   int    `expr:"peak"`
}

type look struct {
	Known   bool    `expr:"known"`
	RSS     int     `expr:"rss_bytes"`
	PeakRSS int     `expr:"rss_peak_bytes"`
	CPU     float64 `expr:"cpu_seconds"`
	Threads int     `expr:"threads"`
	FDs     int     `expr:"fds"`
	Age     float64 `expr:"age_seconds"`
}

type logs struct {
	Stdout string `expr:"stdout"`
	Stderr string `expr:"stderr"`
}

func (v *environment) set(ce *schema.CloudEvent[*schema.Event]) {
	e := ce.Data
	*v = environment{
		Event: e.Event, Host: e.Host, Server: e.Server, Group: e.Group, Process: e.Process,
		FromState: e.FromState, PID: e.PID, Channel: e.Channel, Type: e.Type, Extra: e.Extra, Time: ce.Time.Time,
	}
	if e.Expected != nil {
		v.Expected, v.ExpectedKnown = *e.Expected, true
	}
	if e.Tries != nil {
		v.Tries = *e.Tries
	}
	if e.Data != nil {
		v.Data = *e.Data
	}
	if x := e.Exit; x != nil {
		v.Exit.set(x)
	}
	if e.Ran != nil {
		v.Ran, v.RanKnown = *e.Ran, true
	}
	if l := e.Last; l != nil {
		v.Last = look{true, whole(l.RSS), whole(l.PeakRSS), l.CPU, l.Threads, l.Descriptors, l.Age}
	}
	if e.Log != nil {
		v.Log = logs(*e.Log)
	}
}

func (v *exit) set(x *schema.Exit) {
	*v = exit{Known: true, Signal: x.Signal, Core: x.Core, SpawnErr: x.SpawnErr, Source: x.Source}
	if x.Code != nil {
		v.Code = *x.Code
	}
	if o := x.OOM; o != nil {
		v.OOM = oom{true, o.Cgroup, whole(o.Limit), whole(o.Peak)}
	}
}

// whole is a number as expressions have them.
func whole(n uint64) int { return int(min(n, math.MaxInt)) }

// Bounds of one evaluation: values that it may make, and nodes of its source.
const (
	memoryBudget = 100_000
	maxNodes     = 1_000
)

func compileIf(source string) (*program, error) {
	p, err := expr.Compile(source, expr.Env(&environment{}), expr.AsBool(), expr.MaxNodes(maxNodes))
	if err == nil {
		return p, nil
	}
	const allowed = `allowed is a condition over the event: exit.signal == "SIGKILL"`
	var where *file.Error
	if errors.As(err, &where) {
		message := strings.NewReplacer("type rules.environment ", "", "type rules.exit", "exit", "type rules.logs", "log", "type rules.oom", "exit.oom", "type rules.look", "last").Replace(where.Message)
		return nil, fmt.Errorf("found %q: line %d, column %d: %s; %s", clip(source), where.Line, where.Column+1, message, allowed)
	}
	return nil, fmt.Errorf("found %q: %w; %s", clip(source), err, allowed)
}

// condition evaluates programs; it is used again and again to save memory.
type condition struct {
	vm  vm.VM
	env environment
	of  *schema.Event // that env was set from
}

func (c *condition) holds(p *program, ce *schema.CloudEvent[*schema.Event]) (bool, error) {
	if c.of != ce.Data {
		c.env.set(ce)
		c.of = ce.Data
	}
	c.vm.MemoryBudget = memoryBudget
	v, err := c.vm.Run(p, &c.env)
	if err != nil {
		return false, err
	}
	return v.(bool), nil // compiled AsBool
}
