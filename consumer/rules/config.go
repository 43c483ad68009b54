package rules

import (
	"time"

	"supernats/schema"
)

// Config is one entry of the section rules of the configuration file. An entry is an event
// rule (Event), a state rule (State or Quorum) or a host rule (Silent, Loss or Trouble).
type Config struct {
	// Name is part of the alerts' subjects and ids.
	Name string `yaml:"name"`

	// Event lists names of events, abstract ones too, and globs of them. Expected,
	// If, Count and Within narrow it; Expected looks at exits only, so BACKOFF and
	// EXITED can stand in one rule. It narrows State in the same way.
	Event    List  `yaml:"event"`
	Expected *bool `yaml:"expected"`
	// OOM true matches only deaths of which the kernel says that memory ran out, false all
	// else.
	OOM *bool `yaml:"oom"`
	// If is an expression over the event: exit.signal == "SIGKILL". What the event does not
	// have is zero; exit.known and expected_known say whether it has it.
	If string `yaml:"if"`
	// Count matches within Within, by the events' own times, make an alert. 0 is 1.
	Count  int             `yaml:"count"`
	Within schema.Duration `yaml:"within"`

	// State lists states that a process must be in for For.
	State List            `yaml:"state"`
	For   schema.Duration `yaml:"for"`
	// Quorum is how many processes of a group must be RUNNING.
	Quorum int `yaml:"quorum"`

	// Silent is how long nothing may come from a host.
	Silent schema.Duration `yaml:"silent"`
	// Loss matches the records of lost events.
	Loss bool `yaml:"loss"`
	// Trouble is "true", or lists causes (globs too) of what a bridge cannot do or what is
	// wrong with a host for longer than For.
	Trouble List `yaml:"trouble"`

	// Hosts, Groups and Processes are globs; an empty list matches all.
	Hosts     List `yaml:"hosts"`
	Groups    List `yaml:"groups"`
	Processes List `yaml:"processes"`

	// Severity goes into the alert: critical, warning, info or another word;
	// warning if empty.
	Severity string `yaml:"severity"`
	// Labels and Annotations are templates over the alert.
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
	// Notify names receivers; all of them if empty.
	Notify List `yaml:"notify"`
	// Escalate are steps that notify more people while nobody acknowledges an alert.
	Escalate []Escalation `yaml:"escalate"`
	// MuteDuring are the times in which the rule notifies nobody.
	MuteDuring []Interval `yaml:"mute_during"`
	// InhibitedBy names rules whose alerts about a host hide those of this rule.
	InhibitedBy List `yaml:"inhibited_by"`

	// GroupBy is what makes one alert of several processes: host, group, process;
	// all three if empty.
	GroupBy List `yaml:"group_by"`
	// These replace the file's own, if set.
	GroupWait      *schema.Duration `yaml:"group_wait"`
	GroupInterval  *schema.Duration `yaml:"group_interval"`
	RepeatInterval *schema.Duration `yaml:"repeat_interval"`
	ResolveAfter   *schema.Duration `yaml:"resolve_after"`
	SendResolved   *bool            `yaml:"send_resolved"`
}

// Escalation is a step: After is how long people have known of an alert and nobody has
// acknowledged it, Notify names the receivers that are notified then, and of everything
// from then on.
type Escalation struct {
	After  schema.Duration `yaml:"after"`
	Notify List            `yaml:"notify"`
}

// List is one text or a list of them in YAML.
type List []string

// Interval is a time interval as Alertmanager writes it: all keys that are given must
// hold, and of each list one entry.
type Interval struct {
	Times       []TimeRange `yaml:"times"`
	Weekdays    List        `yaml:"weekdays"`      // monday:friday
	DaysOfMonth List        `yaml:"days_of_month"` // 1:5, -1
	Months      List        `yaml:"months"`        // january:march, 5
	Years       List        `yaml:"years"`         // 2026:2028
	// Location is a name of the time zone database; UTC if empty.
	Location string `yaml:"location"`
}

// TimeRange is a span of a day, 22:00 to 24:00.
type TimeRange struct {
	Start string `yaml:"start_time"`
	End   string `yaml:"end_time"`
}

// Options are the settings that all rules share. A rule's own win.
type Options struct {
	// Groups are globs of the groups that reach the rules; none is all of them.
	Groups []string
	// GroupWait is the time from an alert's opening to its first notification, GroupInterval
	// from one to the next if more has matched, and RepeatInterval if nothing has. 0 of the
	// last two is at once and never. ResolveAfter is how long a process must have been well.
	GroupWait, GroupInterval, RepeatInterval, ResolveAfter time.Duration
	SendResolved                                           bool
	// MuteRestarts is how long at most a host's alerts are held back from its
	// supervisord's stopping to its running again; 0 turns it off.
	MuteRestarts time.Duration
}

// Defaults are the rules of an installation that has written none: a process exited
// unexpectedly; supervisord gave up starting one (a program that dies before its startsecs
// never exits: it goes from BACKOFF to FATAL), or has lost one that it could not kill; a
// host sends nothing any more; events of a host were lost; a bridge cannot do its work, or
// something else is wrong with a host.
func Defaults() []Config {
	unexpected, silent := false, List{"host-silent"}
	return []Config{
		{
			Name: "unexpected-exit", Event: List{schema.ProcessStateExited}, Expected: &unexpected,
			Severity: "critical", InhibitedBy: silent,
		},
		{Name: "fatal", Event: List{schema.ProcessStateFatal}, Severity: "critical", InhibitedBy: silent},
		{Name: "unknown", State: List{schema.StateUnknown}, Severity: "critical", InhibitedBy: silent},
		{Name: "host-silent", Silent: schema.Duration(3 * time.Minute), Severity: "critical"},
		{Name: "loss", Loss: true, Severity: "warning"},
		{Name: "bridge-trouble", Trouble: List{"true"}, Severity: "warning"},
	}
}
