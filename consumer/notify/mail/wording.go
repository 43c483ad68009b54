package mail

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"supernats/consumer/notify"
	"supernats/schema"
)

// phrase says what happened, behind the name of one or the number of many.
type phrase struct {
	one, many string
	// aside is what a mail about one adds, and a digest leaves out.
	aside string
	// evident is set where the name of the rule would say no more.
	evident bool
	// countable phrases can have "3 more times" behind them.
	countable bool
}

var (
	exitedUnexpectedly = phrase{one: "exited unexpectedly", evident: true, countable: true}
	exitedAsExpected   = phrase{one: "exited as expected", countable: true}
	// exited is for an event that does not say which of the two.
	exited   = phrase{one: "exited", countable: true}
	isFatal  = phrase{one: "is FATAL", many: "are FATAL", aside: ", gave up starting it", evident: true}
	isSilent = phrase{one: "is silent", many: "are silent", aside: ", its bridge sends nothing", evident: true}
	hasLost  = phrase{one: "has lost events", many: "have lost events", evident: true}
	// isLost is UNKNOWN: a process that supervisord could not kill (EPERM).
	isLost     = phrase{one: "is in state UNKNOWN", many: "are in state UNKNOWN", aside: ", supervisord has lost it, it may still run", evident: true}
	isTroubled = phrase{one: "is in trouble", many: "are in trouble", evident: true}
)

// phrases are by the name of the event.
var phrases = map[string]phrase{
	schema.ProcessStateFatal:             isFatal,
	schema.ProcessStateBackoff:           {one: "died while starting", aside: ", will be tried again", countable: true},
	schema.ProcessStateUnknown:           isLost,
	schema.ProcessStateStopped:           {one: "was stopped", many: "were stopped", countable: true},
	schema.ProcessStateStopping:          {one: "is being stopped", many: "are being stopped"},
	schema.ProcessStateStarting:          {one: "is being started", many: "are being started"},
	schema.ProcessStateRunning:           {one: "is running", many: "are running"},
	schema.ProcessCommunicationStdout:    {one: "sent a message on stdout", countable: true},
	schema.ProcessCommunicationStderr:    {one: "sent a message on stderr", countable: true},
	schema.ProcessLogStdout:              {one: "wrote to stdout", countable: true},
	schema.ProcessLogStderr:              {one: "wrote to stderr", countable: true},
	schema.ProcessGroupAdded:             {one: "was added", many: "were added", countable: true},
	schema.ProcessGroupRemoved:           {one: "was removed", many: "were removed", countable: true},
	schema.SupervisorStateChangeRunning:  {one: "supervisord is running", many: "have a supervisord that is running"},
	schema.SupervisorStateChangeStopping: {one: "supervisord is stopping", many: "have a supervisord that is stopping"},
}

// rulePhrases are for the rules that supernats has by itself, where no event
// says it: a host that is silent sends none.
var rulePhrases = map[string]phrase{
	"unexpected-exit": exitedUnexpectedly,
	"fatal":           isFatal,
	"host-silent":     isSilent,
	"loss":            hasLost,
	"unknown":         isLost,
	"bridge-trouble":  isTroubled,
}

// eventPhrase is what an event means; ok is false where nobody knows.
func eventPhrase(rule string, ev *schema.AlertEvent) (p phrase, ok bool) {
	switch {
	case ev.Lost > 0:
		return hasLost, true
	case ev.Event == eventTrouble:
		return isTroubled, true
	case ev.Event != schema.ProcessStateExited:
		p, ok = phrases[ev.Event]
		return p, ok
	case ev.Expected != nil && *ev.Expected:
		return exitedAsExpected, true
	case ev.Expected != nil || rule == "unexpected-exit":
		return exitedUnexpectedly, true
	}
	return exited, true
}

// alertPhrase is what an alert is told by; ok is false for a rule that only its
// author can put into words.
func alertPhrase(a *schema.Notification) (p phrase, ok bool) {
	if ev := headline(a); ev != nil {
		if p, ok = eventPhrase(a.Rule, ev); ok {
			return p, true
		}
	}
	p, ok = rulePhrases[notify.OwnRule(a)]
	return p, ok
}

// processName is a process as supervisorctl writes it: "api" for api:api.
func processName(group, process string) string {
	switch {
	case process == "" || process == group:
		return group
	case group == "":
		return process
	}
	return group + ":" + process
}

// eventTrouble is the record of a trouble, which is in alerts like an event.
const eventTrouble = schema.TypeBridgePrefix + schema.BridgeTrouble

// reason says why a process died, how much was lost or what is wrong, "" if that is
// not known.
func reason(ev *schema.AlertEvent) string {
	switch {
	case ev.Lost > 0:
		s := "at least " + count(ev.Lost, "event was", "events were") + " lost"
		if why := notify.LossCause(ev.Cause); why != "" {
			s += ": " + why
		}
		return s
	case ev.Event == eventTrouble:
		return strings.TrimSuffix(clip(ev.Cause, maxSubjectName)+": "+clip(ev.Text, maxField), ": ")
	}
	x := ev.Exit
	var s string
	switch {
	case x == nil:
		return ""
	case x.SpawnErr != "" && x.OOM == nil:
		return "spawn error: " + clip(x.SpawnErr, maxField)
	case x.Signal != "":
		s = clip(x.Signal, maxSubjectName)
	case x.Code != nil:
		s = "exit code " + strconv.Itoa(*x.Code)
	}
	if x.Core {
		s = strings.TrimPrefix(s+", core dumped", ", ")
	}
	if x.OOM != nil {
		s = strings.TrimPrefix(s+", "+x.OOM.String(), ", ")
	}
	return s
}

func count[N int | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatUint(uint64(n), 10) + " " + many
}

// headline is the event that an alert is told by: the last one, which says how
// things are now. Without events it is nil.
func headline(a *schema.Notification) *schema.AlertEvent {
	if len(a.Events) == 0 {
		return nil
	}
	return &a.Events[len(a.Events)-1]
}

// details are put behind what happened: why, and by which rule if that is not
// plain already.
func details(parts ...string) string {
	var list []string
	for _, p := range parts {
		if p != "" {
			list = append(list, p)
		}
	}
	if list == nil {
		return ""
	}
	return " (" + strings.Join(list, "; ") + ")"
}

// summaryOf is the annotation that puts an alert into words, if there is one.
func summaryOf(a *schema.Notification) string { return cell(a.Annotations["summary"], maxField) }

// what says what happened, behind the names of those it happened to.
func what(a *schema.Notification, many, aside bool) string {
	p, ok := alertPhrase(a)
	rule := cell(a.Rule, maxSubjectName)
	if !ok {
		if s := summaryOf(a); s != "" {
			return s
		}
		ev := headline(a)
		if ev == nil || ev.Event == "" {
			return "alert " + rule
		}
		return "alert " + rule + " by " + cell(ev.Event, maxSubjectName)
	}
	words, why := p.one, why(a, many)
	if many {
		words = p.plural()
	}
	if lost := lost(a); lost > 0 {
		words, why = strings.Fields(words)[0]+" lost at least "+count(lost, "event", "events"), lossCause(a)
	} else if aside && !many {
		words += asideOf(a, p)
		why = withRan(headline(a), why)
	}
	if p.evident {
		return words + details(why)
	}
	return words + details(why, "rule "+rule)
}

// asideOf is what a mail about one adds; of a silent host why it is, where known.
func asideOf(a *schema.Notification, p phrase) string {
	if why := cell(a.Annotations[notify.AnnotationReason], maxField); p == isSilent && why != "" {
		return ", " + why
	}
	return p.aside
}

// why is the reason of what happened last; of several processes only one that
// is that of all.
func why(a *schema.Notification, many bool) string {
	ev := headline(a)
	if ev == nil {
		return ""
	}
	s := reason(ev)
	for i := range a.Events {
		if many && reason(&a.Events[i]) != s {
			return ""
		}
	}
	return s
}

// withRan puts how long that life of the process lasted before the reason of its end:
// "ran 2 d 4 h, SIGKILL".
func withRan(ev *schema.AlertEvent, reason string) string {
	if ev == nil || notify.Ran(ev) == "" {
		return reason
	}
	return strings.TrimSuffix(notify.Ran(ev)+", "+reason, ", ")
}

func (p phrase) plural() string { return cmp.Or(p.many, p.one) }

// lost is how many events an alert says are lost.
func lost(a *schema.Notification) (n uint64) {
	for i := range a.Events {
		n += a.Events[i].Lost
	}
	return n
}

// lossCause is why events are lost, if all of them are for one cause.
func lossCause(a *schema.Notification) string {
	cause := headline(a).Cause
	for i := range a.Events {
		if a.Events[i].Cause != cause {
			return ""
		}
	}
	return notify.LossCause(cause)
}

// more is how many events there are besides the headline.
func more(n *schema.CloudEvent[*schema.Notification]) int {
	count := len(n.Data.Events)
	if n.Type == schema.TypeAlertFiring && n.Data.Recurring == nil {
		// Nothing was told before, so what is not listed is new too.
		count = max(count, n.Data.Count)
	}
	return max(count-1, 0)
}

// wellAgain says how an alert ended, for one or for many, without the state.
func wellAgain(a *schema.Notification, many bool) string {
	verb := func(one, other string) string {
		if many {
			return other
		}
		return one
	}
	p, _ := alertPhrase(a)
	why := cell(a.Annotations[notify.AnnotationReason], maxField)
	switch {
	case a.Ended == schema.EndedForgotten && a.Group == "":
		return verb("was forgotten", "were forgotten")
	case a.Ended == schema.EndedForgotten:
		return verb("needs no more attention", "need no more attention") + " (the host was forgotten)"
	case a.Ended == schema.EndedRule && p == isSilent:
		return verb("is not watched any more", "are not watched any more") + " (its rule was removed)"
	case why != "" && p != isSilent:
		return verb("needs no more attention", "need no more attention") + " (" + why + ")"
	case p == isSilent:
		return verb("is reporting again", "are reporting again")
	case p == hasLost:
		return verb("loses no more events", "lose no more events")
	case p == isTroubled:
		return verb("is out of trouble", "are out of trouble")
	case p == isLost:
		return verb("is known again", "are known again")
	case p == exitedAsExpected:
		// Nothing was wrong with it.
		return verb("is quiet again", "are quiet again")
	}
	return verb("has recovered", "have recovered")
}

// history says how long an alert is or was open and how many events it had.
func history(a *schema.Notification, until time.Time) string {
	var parts []string
	if d := openFor(a, until); d != "" {
		parts = append(parts, "open for "+d)
	}
	if p, _ := alertPhrase(a); a.Count > 0 && p != isSilent {
		parts = append(parts, count(a.Count, "event", "events"))
	}
	return strings.Join(parts, ", ")
}

// told is what a notification says about its alert, without saying who that is. Without
// an aside it is shorter.
func told(n *schema.CloudEvent[*schema.Notification], many, aside bool) string {
	a := n.Data
	switch {
	case n.Type == schema.TypeAlertResolved:
		s := wellAgain(a, many)
		if state := cell(a.State, maxSubjectName); state != "" && aside {
			s += ", its state is " + state
		}
		if h := history(a, n.Time.Time); h != "" {
			s += ": " + h
		}
		if _, ok := alertPhrase(a); !ok {
			s += details("rule " + cell(a.Rule, maxSubjectName))
		}
		return s
	case recurs(n) != "":
		return recurs(n) + lateTail(a)
	case n.Type == schema.TypeAlertUpdate && len(a.Events) == 0:
		return what(a, many, false) + details("still "+history(a, n.Time.Time))
	}
	s := what(a, many, aside)
	if r := a.Recurring; r != nil && r.Reopened > 0 && n.Type == schema.TypeAlertFiring {
		span := notify.Span(n.Time.Sub(r.Since.Time))
		if aside {
			s += ", again " + span + " after its recovery was reported"
		} else {
			s += ", again after " + briefly.Replace(span)
		}
	}
	return s + lateTail(a)
}

// lateTail marks what is over by now.
func lateTail(a *schema.Notification) string {
	if s := notify.WellSince(a); s != "" {
		return ", " + s
	}
	return ""
}

// recurs says that one process has done the same again and again, "" if it has not or
// if the rule's author has put it into words.
func recurs(n *schema.CloudEvent[*schema.Notification]) string {
	s := notify.Recurrence(n)
	if s == "" || summaryOf(n.Data) != "" {
		return ""
	}
	w := why(n.Data, false)
	if len(n.Data.Events) > 1 && w != "" {
		w = "the last time " + w
	}
	return s + details(w)
}

// again is told of an update whose events are all of one kind, "" for others.
func again(a *schema.Notification) string {
	p, ok := alertPhrase(a)
	if !ok || !p.countable || len(a.Events) == 0 {
		return ""
	}
	for i := range a.Events {
		if q, ok := eventPhrase(a.Rule, &a.Events[i]); !ok || q != p {
			return ""
		}
	}
	why, rule := why(a, false), ""
	if !p.evident {
		rule = "rule " + cell(a.Rule, maxSubjectName)
	}
	s := " once more"
	if n := len(a.Events); n > 1 {
		s = " " + strconv.Itoa(n) + " more times"
		if why != "" {
			why = "the last time " + why
		}
	} else {
		why = withRan(headline(a), why)
	}
	s = p.one + s + details(why, rule)
	if a.Count > len(a.Events) {
		s += ", " + strconv.Itoa(a.Count) + " times since the alert opened"
	}
	return s
}
