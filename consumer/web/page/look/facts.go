package look

import (
	"cmp"
	"slices"

	"supernats/consumer/fleet"
	"supernats/consumer/web/site"
	"supernats/consumer/wording"
	"supernats/schema"
)

// Fact is a line about a host, a process or an alert.
type Fact struct {
	Word, Text string
	At         Moment
	// Path is what Text leads to.
	Path string
}

// HostFacts are what is known of a host.
func HostFacts(h *fleet.Host, now Clock) (facts []Fact) {
	add := func(word, text string, at Moment) {
		if text != "" || at.ISO != "" {
			facts = append(facts, Fact{Word: word, Text: text, At: at})
		}
	}

	if h.UnknownSince != nil {
		add("Silent since", "", now.AtTime(h.UnknownSince))
	}
	add("supervisord", wording.Join(", ", Clip(h.SupervisorVersion), Clip(h.SupervisorState)), Moment{})
	if h.Supervisords > 1 {
		add("supervisords", Number(h.Supervisords)+" of them, "+Number(h.Silent)+" silent", Moment{})
	}
	add("Bridge", Clip(h.BridgeVersion), Moment{})
	add("Address", Clip(h.Address), Moment{})
	if h.Lost > 0 {
		add("Events lost", LossText(h)+" in all, most recently "+LossCause(h), now.AtTime(h.LastLoss))
	}
	return facts
}

// ProcessFacts are what is recorded of a process.
func ProcessFacts(p *fleet.Process, now Clock) []Fact {
	facts := []Fact{
		{Word: "Starts", Text: Number(int(p.Starts))},
		{Word: "Exits", Text: exitsText(p)},
	}
	if p.Fatals > 0 {
		facts = append(facts, Fact{Word: "FATAL", Text: wording.Count(p.Fatals, "time", "times")})
	}
	last := &schema.AlertEvent{Exit: p.Exit, Ran: p.Ran, Last: p.Last}
	if p.LastExit != nil {
		facts = append(facts, Fact{
			Word: "Last exit", Text: wording.Join(" · ", wording.EndOfLife(last), cgroup(p.Exit)),
			At: now.AtTime(p.LastExit),
		})
	}
	if look := wording.LastLook(last); look != "" && p.LastExit != nil {
		facts = append(facts, Fact{Word: "Last look", Text: look})
	}
	if p.Gone != nil {
		facts = append(facts, Fact{Word: "Removed", At: now.AtTime(p.Gone)})
	}
	return facts
}

// exitsText counts the exits of a process.
func exitsText(p *fleet.Process) string {
	if p.Exits == 0 {
		return "0"
	}
	return Number(int(p.Exits)) + ", " + Number(int(p.UnexpectedExits)) + " of them unexpected"
}

// IncidentFacts are what is recorded of an incident.
func IncidentFacts(a *fleet.Alert, now Clock) []Fact {
	facts := []Fact{
		{Word: "Rule", Text: Name(a.Rule) + ", " + Name(a.Severity)},
		{Word: "Opened", At: now.At(a.Opened.Time)},
	}
	add := func(word, text string) {
		if text != "" {
			facts = append(facts, Fact{Word: word, Text: text})
		}
	}

	if a.Closed != nil {
		facts = append(facts,
			Fact{Word: "Closed", Text: cmp.Or(Clip(a.Ended), "recovered"), At: now.AtTime(a.Closed)})
	}
	add("Matched", wording.Count(a.Count, "event", "events"))
	if a.Reopened > 0 {
		add("Reopened", wording.Count(a.Reopened, "time", "times"))
	}
	add("Inhibited by", Name(a.InhibitedBy))
	if ack := a.Acknowledged; a.IsAcknowledged() {
		text := wording.Join(": ", "by "+Name(ack.By), Clip(ack.Reason))
		if ack.Until != nil {
			text += ", until " + ack.Until.UTC().Format("2006-01-02 15:04 UTC") + " at the latest"
		}
		facts = append(facts, Fact{Word: "Acknowledged", Text: text + " ", At: now.At(ack.Since.Time)})
	}
	if a.Muted > 0 {
		add("Silenced", wording.Count(a.Muted, "notification", "notifications")+" dropped")
	}
	if a.Host != "" {
		facts = append(facts, Fact{Word: "Host", Text: Name(a.Host), Path: site.HostPath(a.Host)})
	}
	if a.Process != "" {
		facts = append(facts, Fact{
			Word: "Process", Text: Name(wording.ProcessName(a.Group, a.Process)),
			Path: site.ProcessPath(a.Host, a.Group, a.Process),
		})
	}
	for _, key := range sortedKeys(a.Annotations) {
		if key != "summary" && key != "runbook" && key != "runbook_url" && key != schema.AnnotationReason {
			add(Name(key), Clip(a.Annotations[key]))
		}
	}
	return facts
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// cgroup is where memory ran out, "" if it did not.
func cgroup(x *schema.Exit) string {
	if x == nil || x.OOM == nil || x.OOM.Cgroup == "" {
		return ""
	}
	return "in cgroup " + Clip(x.OOM.Cgroup)
}
