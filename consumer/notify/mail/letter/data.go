package letter

import (
	"strings"
	"time"

	"supernats/consumer/notify/link"
	"supernats/schema"
)

// Data is what the templates subject, text and html see. Every string in it is clean: one
// visible line of bounded length, so no template makes a hostile name or log look like a
// line of its own. Nothing of the configuration is in it, no address of a recipient and
// no password.
type Data struct {
	// Kind is firing, update or resolved, and digest if there are several alerts.
	Kind string
	// Subject and Sentence are what supernats itself would write: the subject,
	// and the first sentence of the text.
	Subject, Sentence string
	// Severity is the worst of the alerts.
	Severity string
	// Firing, Updates and Resolved count the notifications of each kind, Events
	// the events listed in all of them, Late those that happened long ago.
	Firing, Updates, Resolved, Events, Late int
	// Alerts are the notifications, at least one, in the order in which they were
	// made.
	Alerts []Alert
	// Command is one to investigate with.
	Command string
	// Links are those of the incident if all is about one, else empty. Page is the address
	// of all open alerts. Without an external_url there is only Links.Runbook.
	Links link.Links
	Page  string
	// Supernats is who sends: "mon1, version 1.2.3". Time is that of the mail.
	Supernats string
	Time      time.Time
}

// Alert is one notification in a Data.
type Alert struct {
	// Kind is firing, update or resolved. ID is that of the incident.
	Kind, ID       string
	Rule, Severity string
	// Host, Group and Process are empty in an alert about several of them;
	// Address is an address of the host, where known.
	Host, Address, Group, Process string
	// Who is whom it is about, "api:api_00 on web1", Sentence what happened to
	// whom: "api:api_00 on web1 exited unexpectedly (exit code 3)".
	Who, Sentence string
	// Summary and Description are the annotations of that name, the latter in
	// lines.
	Summary     string
	Description []string
	// Opened and Closed (zero while it is open) bound the incident, Open is how
	// long it was or has been open: "4m30s".
	Opened, Closed time.Time
	Open           string
	// State is what the process did when the notification was made, StateSince since when,
	// and Crashes how often it crashed before: "3 in the last hour, 17 in the last 24
	// hours". Each is empty where it is not known.
	State      string
	StateSince time.Time
	Crashes    string
	// Count is how many events matched since the alert opened, Events are those that were
	// not reported before; an alert may have none.
	Count  int
	Events []Event
	// Labels and Annotations are those of the rule. A key that is not there is an
	// error in {{.Labels.team}} and empty in {{index .Labels "team"}}.
	Labels, Annotations map[string]string
	// Links are the addresses of its incident, of the forms that acknowledge and silence it,
	// and of its runbook: {{.Links.Incident}}, or {{range .Links.List}}{{.Name}} {{.URL}}{{end}}.
	Links link.Links
	// Logs are what the process wrote last. In a digest the worst few alerts have
	// them, and all whose logs are the same as one of those.
	Logs []Log
}

// Event is one matched event of an Alert.
type Event struct {
	ID string
	// Time is that of At in words, "2026-11-21 20:00:31.833 CET". All times are in the
	// zone of the receiver.
	Time string
	At   time.Time
	// Host, Group and Process say whose event it is, Name is both as supervisorctl
	// writes them: "api:api_00".
	Host, Group, Process, Name string
	// Event is supervisor's name, PROCESS_STATE_EXITED, Reason why the process
	// died or how much was lost: "exit code 3", "SIGKILL, core dumped".
	Event, Reason, FromState string
	PID                      int
	// Ran is how long that life of the process lasted, 0 where that is not known.
	Ran time.Duration
	// Exit is why the process died, in parts.
	Exit Exit
	// Last is the last look at the process, nil where there was none: {{with .Last}}.
	Last *schema.Look
	// Late is how long ago it happened if it is reported late, "3h", else empty.
	Late string
	// HostTime is what the host's clock said, where that is wrong by more than a
	// minute, else zero. Fix is what to do about a trouble.
	HostTime time.Time
	Fix      string
}

// Exit is the reason of a death. What is not known is empty, and 0 is a code only if
// Known.
type Exit struct {
	Known            bool
	Code             int
	Signal, SpawnErr string
	Core             bool
	// Source is pidfd or log, empty where the bridge does not say.
	Source string
	// OOM is nil unless memory ran out: {{with .Exit.OOM}}{{.Cgroup}} has {{bytes .Limit}}{{end}}.
	// By itself it is "out of memory at 2.0 of 2 GiB".
	OOM *schema.OOM
}

// Log holds lines, so that a template can indent them: a log cannot draw a line
// that looks like the mail's own.
type Log struct {
	// Name is stdout or stderr.
	Name  string
	Lines []string
}

// Text is all lines.
func (t Log) Text() string { return strings.Join(t.Lines, "\n") }
