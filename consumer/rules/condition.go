package rules

import (
	"errors"
	"fmt"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"supernats/schema"
)

// program is a compiled expression.
type program = vm.Program

// Bounds of one evaluation: values that it may make, and nodes of its source.
const (
	memoryBudget = 100_000
	maxNodes     = 1_000
)

// plainTypes replaces what the compiler of expressions calls our types.
var plainTypes = strings.NewReplacer(
	"type rules.environment ", "", "type rules.exit", "exit", "type rules.logs", "log",
	"type rules.oom", "exit.oom", "type rules.look", "last",
)

func compileIf(source string) (*program, error) {
	p, err := expr.Compile(source, expr.Env(&environment{}), expr.AsBool(), expr.MaxNodes(maxNodes))
	if err == nil {
		return p, nil
	}

	const allowed = `allowed is a condition over the event: exit.signal == "SIGKILL"`
	var where *file.Error
	if errors.As(err, &where) {
		message := plainTypes.Replace(where.Message)
		return nil, fmt.Errorf("found %q: line %d, column %d: %s; %s",
			clip(source), where.Line, where.Column+1, message, allowed)
	}
	return nil, fmt.Errorf("found %q: %w; %s", clip(source), err, allowed)
}

// Evaluator matches one event at a time with rules. It is reused to save memory: nothing
// of one event is visible to the next. It is not safe for concurrent use.
type Evaluator struct {
	vm  vm.VM
	ce  *schema.CloudEvent[*schema.Event]
	env environment
	set bool // env is that of ce
}

// Load makes an event the one to be matched.
func (e *Evaluator) Load(ce *schema.CloudEvent[*schema.Event]) {
	e.ce = ce
	e.set = false
}

// Matches reports whether the event is one of a rule of Set.ForEvent. The error is that
// of a condition that failed, which is no match.
func (e *Evaluator) Matches(r *Rule) (bool, error) {
	ev := e.ce.Data
	isExit := ev.Event == schema.ProcessStateExited
	if r.expected != nil && isExit && (ev.Expected == nil || *ev.Expected != *r.expected) {
		return false, nil
	}
	if r.oom != nil && *r.oom != (ev.Exit != nil && ev.Exit.OOM != nil) {
		return false, nil
	}
	if !r.Selects(ev.Host, ev.Group, ev.Process) {
		return false, nil
	}

	if r.program == nil {
		return ev.Part <= 1, nil // one event that came in parts is one match
	}
	return e.holds(r.program)
}

// holds evaluates a condition over the event. Most events need none, so the environment
// is set at the first one.
func (e *Evaluator) holds(p *program) (bool, error) {
	if !e.set {
		e.env.set(e.ce)
		e.set = true
	}
	e.vm.MemoryBudget = memoryBudget
	v, err := e.vm.Run(p, &e.env)
	if err != nil {
		return false, err
	}
	return v.(bool), nil // compiled AsBool
}
