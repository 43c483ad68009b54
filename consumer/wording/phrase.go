package wording

import (
	"cmp"

	"supernats/schema"
)

// Phrase says what happened, after the name of one process or host, or the number of many.
type Phrase struct {
	One string
	// Many is empty where it is the same as One.
	Many string
	// Short stands for both where there is little room; empty where nothing shorter says it.
	Short string
	// Aside is what a message about one adds, with a comma before it.
	Aside string
	// Evident is set where the name of the rule says no more.
	Evident bool
	// Countable phrases can have "3 more times" after them.
	Countable bool
}

// Plural is the phrase for many.
func (p Phrase) Plural() string { return cmp.Or(p.Many, p.One) }

// Brief is the phrase for one or many in as few letters as possible.
func (p Phrase) Brief(many bool) string {
	if many {
		return cmp.Or(p.Short, p.Many, p.One)
	}
	return cmp.Or(p.Short, p.One)
}

// Text is the phrase for one, with its aside.
func (p Phrase) Text() string { return p.One + p.Aside }

// The phrases that others ask for.
var (
	ExitedUnexpectedly = Phrase{
		One: "exited unexpectedly", Short: "crashed", Evident: true, Countable: true,
	}
	ExitedAsExpected = Phrase{One: "exited as expected", Countable: true}
	Silent           = Phrase{
		One: "is silent", Many: "are silent", Aside: ", its bridge sends nothing", Evident: true,
	}
	Lossy   = Phrase{One: "has lost events", Many: "have lost events", Evident: true}
	Trouble = Phrase{One: "is in trouble", Many: "are in trouble", Evident: true}
	// Unknown is of a process that supervisord could not kill (EPERM).
	Unknown = Phrase{
		One: "is in state UNKNOWN", Many: "are in state UNKNOWN",
		Aside: ", supervisord has lost it, it may still run", Evident: true,
	}
)

var (
	// exited is of an event that does not say whether it was expected.
	exited = Phrase{One: "exited", Countable: true}
	fatal  = Phrase{One: "is FATAL", Many: "are FATAL", Aside: ", gave up starting it", Evident: true}
)

// The records of a bridge that are in alerts like events.
const (
	EventLoss    = schema.TypeBridgePrefix + schema.BridgeLoss
	EventTrouble = schema.TypeBridgePrefix + schema.BridgeTrouble
)

// eventPhrases are by the name of the event.
var eventPhrases = map[string]Phrase{
	schema.ProcessStateFatal:            fatal,
	schema.ProcessStateBackoff:          {One: "died while starting", Aside: ", will be tried again", Countable: true},
	schema.ProcessStateUnknown:          Unknown,
	schema.ProcessStateStopped:          {One: "was stopped", Many: "were stopped", Countable: true},
	schema.ProcessStateStopping:         {One: "is being stopped", Many: "are being stopped"},
	schema.ProcessStateStarting:         {One: "is being started", Many: "are being started"},
	schema.ProcessStateRunning:          {One: "is running", Many: "are running"},
	schema.ProcessCommunicationStdout:   {One: "sent a message on stdout", Countable: true},
	schema.ProcessCommunicationStderr:   {One: "sent a message on stderr", Countable: true},
	schema.ProcessLogStdout:             {One: "wrote to stdout", Countable: true},
	schema.ProcessLogStderr:             {One: "wrote to stderr", Countable: true},
	schema.ProcessGroupAdded:            {One: "was added", Many: "were added", Countable: true},
	schema.ProcessGroupRemoved:          {One: "was removed", Many: "were removed", Countable: true},
	schema.SupervisorStateChangeRunning: {One: "supervisord is running", Many: "have a supervisord that is running"},
	schema.SupervisorStateChangeStopping: {
		One: "supervisord is stopping", Many: "have a supervisord that is stopping",
	},
	EventLoss:    Lossy,
	EventTrouble: Trouble,
}

// The rules that supernats has by itself and that others ask for.
const (
	ruleExit    = "unexpected-exit"
	ruleSilent  = "host-silent"
	ruleLoss    = "loss"
	ruleTrouble = "bridge-trouble"
)

// rulePhrases are for the rules that supernats has by itself, where no event says what
// happened: a host that is silent sends none.
var rulePhrases = map[string]Phrase{
	ruleExit:    ExitedUnexpectedly,
	"fatal":     fatal,
	ruleSilent:  Silent,
	ruleLoss:    Lossy,
	"unknown":   Unknown,
	ruleTrouble: Trouble,
}

// ownRule is the rule of supernats' own that is about the same as that of an alert,
// whatever its author calls it.
func ownRule(a *schema.Notification) string {
	switch a.Kind {
	case schema.KindSilent:
		return ruleSilent
	case schema.KindLoss:
		return ruleLoss
	case schema.KindTrouble:
		return ruleTrouble
	}
	return a.Rule
}

// IsSilence reports whether an alert is about a host of which nothing is heard.
func IsSilence(a *schema.Notification) bool { return ownRule(a) == ruleSilent }

// OfEvent is what an event of an alert of a rule means; ok is false for an event that
// has no phrase.
func OfEvent(rule string, ev *schema.AlertEvent) (p Phrase, ok bool) {
	switch {
	case ev.Lost > 0:
		return Lossy, true
	case ev.Event != schema.ProcessStateExited:
		p, ok = eventPhrases[ev.Event]
		return p, ok
	case ev.Expected != nil && *ev.Expected:
		return ExitedAsExpected, true
	case ev.Expected != nil || rule == ruleExit:
		return ExitedUnexpectedly, true
	}
	return exited, true
}

// LastEvent is the last event of a notification, which says how things are now, nil if
// it has none.
func LastEvent(a *schema.Notification) *schema.AlertEvent {
	if len(a.Events) == 0 {
		return nil
	}
	return &a.Events[len(a.Events)-1]
}

// OfAlert is what an alert is about: its last event, or else its rule. ok is false for
// a rule that only its author can put into words.
func OfAlert(a *schema.Notification) (p Phrase, ok bool) {
	if ev := LastEvent(a); ev != nil {
		if p, ok = OfEvent(a.Rule, ev); ok {
			return p, true
		}
	}

	p, ok = rulePhrases[ownRule(a)]
	return p, ok
}
