package alerts

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"supernats/consumer/alerts/backlog"
	"supernats/consumer/alerts/clock"
	"supernats/consumer/alerts/journal"
	"supernats/consumer/alerts/member"
	"supernats/schema"
)

// Meta identifies a message of the stream, Notification is one to be published, and Change
// is a record to be stored.
type (
	Meta         = clock.Meta
	Notification = backlog.Notification
	Change       = journal.Change
)

// Message is a message of the stream, and what it changed. Most messages have a few of
// these fields.
type Message struct {
	Meta Meta
	// Host has sent it; empty if it is no sign of life of any host.
	Host string

	// Event and Loss are what the message says, if it is one of these.
	Event *schema.CloudEvent[*schema.Event]
	Loss  *schema.CloudEvent[*schema.Loss]
	// Horizon is before when an Event or a Loss is history, which no rule matches.
	Horizon time.Time
	// Ack says that somebody takes care of an alert, or no longer does.
	Ack *schema.CloudEvent[*schema.Ack]
	// Bridge is the kind of a record of a bridge, one of schema's Bridge… constants.
	Bridge string
	// Forgotten is a host that is gone for good.
	Forgotten string

	// Processes are the records of the processes that the message changed, and HostRecord
	// is that of its host, as they are after it. A process with Gone set is one that its
	// host does not have any more.
	Processes  []*schema.ProcessRecord
	HostRecord *schema.HostRecord
}

// recordOf returns the record of a process that the message changed, nil if it has not.
func (m *Message) recordOf(n member.Name) *schema.ProcessRecord {
	for _, s := range m.Processes {
		if s.Process == n.Process && s.Group == n.Group && s.Host == n.Host {
			return s
		}
	}
	return nil
}

// EventOf describes an event as notifications list it.
func EventOf(m Meta, ce *schema.CloudEvent[*schema.Event]) *schema.AlertEvent {
	e := ce.Data
	return &schema.AlertEvent{
		ID: ce.ID, Time: ce.Time, Seq: m.Seq, Event: e.Event,
		Host: e.Host, Group: e.Group, Process: e.Process, Server: e.Server,
		FromState: e.FromState, Expected: e.Expected, PID: e.PID, Exit: e.Exit, Log: e.Log, Ran: e.Ran, Last: e.Last,
		Late: isLate(m, ce.Time), HostTime: hostTime(m, ce.Time),
	}
}

// LossOf describes a record of lost events as notifications list it.
func LossOf(m Meta, ce *schema.CloudEvent[*schema.Loss]) *schema.AlertEvent {
	return &schema.AlertEvent{
		ID: ce.ID, Time: ce.Time, Seq: m.Seq, Event: ce.Type,
		Host: ce.Data.Host, Lost: ce.Data.Count, Cause: ce.Data.Cause,
		Late: isLate(m, ce.Time), HostTime: hostTime(m, ce.Time),
	}
}

// stateOf describes the state of a process as notifications list it.
func stateOf(s *schema.ProcessRecord, m Meta) *schema.AlertEvent {
	ev := &schema.AlertEvent{
		ID: idOf(m, s.Host, s.Group, s.Process), Time: s.Since, Seq: m.Seq, Event: "PROCESS_STATE_" + s.State,
		Host: s.Host, Group: s.Group, Process: s.Process, PID: s.PID, Late: isLate(m, s.Since),
	}
	switch s.State {
	case schema.StateExited:
		ev.Expected = s.Expected
	case schema.StateFatal, schema.StateBackoff:
	default:
		return ev
	}
	ev.Exit = s.Exit
	ev.Ran = s.Ran
	ev.Last = s.Last
	return ev
}

// troubleOf describes a trouble of a host as notifications list it.
func troubleOf(host string, t schema.HostTrouble, m Meta) *schema.AlertEvent {
	return &schema.AlertEvent{
		ID: idOf(m, host, "trouble", t.Cause), Time: t.Since, Seq: m.Seq,
		Event: schema.TypeBridgePrefix + schema.BridgeTrouble,
		Host:  host, Server: t.Server, Cause: t.Cause, Text: t.Text, Fix: t.Fix,
	}
}

// late is how long the stream may take to get an event.
const late = time.Minute

func isLate(m Meta, happened schema.Time) bool { return m.Stored.Sub(happened.Time) > late }

// hostTime is what the host's clock said, nil where that was right.
func hostTime(m Meta, t schema.Time) *schema.Time {
	if m.Shift == 0 {
		return nil
	}
	return &schema.Time{Time: t.Add(-m.Shift)}
}

// idOf makes the id of something that is no event of the stream, by the message that showed
// it: names, the message's time in microseconds, and its sequence, since the stream may get
// several messages within one.
func idOf(m Meta, names ...string) string {
	kept := slices.DeleteFunc(names, func(n string) bool { return n == "" })
	return strings.Join(append(kept, timeID(m.Stored), strconv.FormatUint(m.Seq, 10)), "/")
}

func timeID(at time.Time) string { return strconv.FormatInt(at.UnixMicro(), 10) }
