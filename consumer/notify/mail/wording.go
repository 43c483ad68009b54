package mail

import (
	"strconv"
	"strings"

	"supernats/schema"
)

// phrases say of a process what an event means, behind its name.
var phrases = map[string]string{
	schema.ProcessStateExited:            "exited unexpectedly",
	schema.ProcessStateFatal:             "is FATAL, gave up starting it",
	schema.ProcessStateBackoff:           "died while starting, will be tried again",
	schema.ProcessStateUnknown:           "is in state UNKNOWN, supervisord has lost it",
	schema.ProcessStateStopped:           "was stopped",
	schema.ProcessStateStopping:          "is being stopped",
	schema.ProcessStateStarting:          "is being started",
	schema.ProcessStateRunning:           "is running",
	schema.ProcessCommunicationStdout:    "sent a message on stdout",
	schema.ProcessCommunicationStderr:    "sent a message on stderr",
	schema.ProcessLogStdout:              "wrote to stdout",
	schema.ProcessLogStderr:              "wrote to stderr",
	schema.ProcessGroupAdded:             "was added",
	schema.ProcessGroupRemoved:           "was removed",
	schema.SupervisorStateChangeRunning:  "supervisord is running",
	schema.SupervisorStateChangeStopping: "supervisord is stopping",
}

// rulePhrases are for the rules that supernats has by itself, where no event
// says it: a host that is silent sends none.
var rulePhrases = map[string]string{
	"unexpected-exit": "exited unexpectedly",
	"fatal":           "is FATAL, gave up starting it",
	"host-silent":     "is silent, its bridge sends nothing",
	"loss":            "has lost events",
}

// selfEvident are the events of which the rule's name says no more.
var selfEvident = map[string]bool{schema.ProcessStateExited: true, schema.ProcessStateFatal: true}

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

// reason says why a process died, "" if that is not known.
func reason(x *schema.Exit) string {
	var s string
	switch {
	case x == nil:
		return ""
	case x.SpawnErr != "":
		return "spawn error: " + clip(x.SpawnErr, maxField)
	case x.Signal != "":
		s = clip(x.Signal, maxSubjectName)
	case x.Code != nil:
		s = "exit code " + strconv.Itoa(*x.Code)
	}
	if x.Core {
		s = strings.TrimPrefix(s+", core dumped", ", ")
	}
	return s
}

// headline is the event that an alert is told by: the last one, which says how
// things are now. Without events it is nil.
func headline(a *schema.Alert) *schema.AlertEvent {
	if len(a.Events) == 0 {
		return nil
	}
	return &a.Events[len(a.Events)-1]
}

// what says what happened, without saying to whom.
func what(a *schema.Alert) string {
	ev := headline(a)
	if ev == nil || phrases[ev.Event] == "" {
		if s := rulePhrases[a.Rule]; s != "" {
			return s
		}
		if ev == nil || ev.Event == "" {
			return "alert " + clip(a.Rule, maxSubjectName)
		}
		return "alert " + clip(a.Rule, maxSubjectName) + " by " + clip(ev.Event, maxSubjectName)
	}
	s := phrases[ev.Event]
	if !selfEvident[ev.Event] {
		s += " (rule " + clip(a.Rule, maxSubjectName) + ")"
	}
	if why := reason(ev.Exit); why != "" {
		s += " (" + why + ")"
	}
	return s
}

// more is how many events there are besides the headline.
func more(n *schema.CloudEvent[*schema.Alert]) int {
	count := len(n.Data.Events)
	if n.Type == schema.TypeAlertFiring {
		// Nothing was told before, so what is not listed is new too.
		count = max(count, n.Data.Count)
	}
	return max(count-1, 0)
}

// subject is that of the mail, one visible line.
func subject(n *schema.CloudEvent[*schema.Alert]) string {
	a := n.Data
	words := make([]string, 0, 6)
	words = append(words, "[supervisor]")
	switch n.Type {
	case schema.TypeAlertUpdate:
		words = append(words, "UPDATE")
	case schema.TypeAlertResolved:
		words = append(words, "RESOLVED")
	}
	words = append(words, clip(a.Host, maxSubjectName))
	if name := processName(clip(a.Group, maxSubjectName), clip(a.Process, maxSubjectName)); name != "" {
		words = append(words, name)
	}
	words = append(words, what(a))
	tail := ""
	if k := more(n); k > 0 {
		tail = " (and " + strconv.Itoa(k) + " more)"
	}
	// The tail is not what gets cut off: it is short, and it is news.
	return clip(strings.Join(words, " "), maxSubject-len(tail)) + tail
}
