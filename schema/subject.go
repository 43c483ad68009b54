package schema

import (
	"fmt"
	"strings"

	"supernats/schema/internal/token"
)

// Prefixes of our subjects.
const (
	EventPrefix    = "supervisor.event."
	SnapshotPrefix = "supervisor.snapshot."
	BridgePrefix   = "supervisor.bridge."
	AlertPrefix    = "supervisor.alert."
)

// Kinds of the bridge's own records: the last token of their subject.
const (
	BridgeStarted   = "started"
	BridgeStopping  = "stopping"
	BridgeReconnect = "reconnect"
	BridgeLoss      = "loss"
	BridgeTrouble   = "trouble"
	BridgeResent    = "resent"
	// BridgeForgotten comes from the consumer: the host is gone for good.
	BridgeForgotten = "forgotten"
)

// Subject is what stands in the subject of an event, in plain names.
type Subject struct {
	Host, Group, Process string
	// Event is Supervisor's name of the event, Type the type of a
	// REMOTE_COMMUNICATION.
	Event, Type string
}

// String writes supervisor.event.<host>.<group>.<process>.<family>.<kind>.
func (s Subject) String() string {
	family, kind := Tail(s.Event, s.Type)
	return EventPrefix + Token(s.Host) + "." + Token(s.Group) + "." + Token(s.Process) + "." + family + "." + kind
}

// ParseSubject is the inverse of Subject.String.
//
// Errors: ErrShortened (wrapped) if a name is too long to be recovered, or one that says
// which token is malformed.
func ParseSubject(subject string) (Subject, error) {
	rest, ok := strings.CutPrefix(subject, EventPrefix)
	if !ok {
		return Subject{}, errorf("subject %q does not begin with %q", subject, EventPrefix)
	}
	tokens := strings.Split(rest, ".")
	if len(tokens) != 5 {
		return Subject{}, errorf("subject %q has %d tokens after %q: want host.group.process.family.kind",
			subject, len(tokens), EventPrefix)
	}

	var s Subject
	for i, to := range []*string{&s.Host, &s.Group, &s.Process} {
		name, err := ParseToken(tokens[i])
		if err != nil {
			return Subject{}, fmt.Errorf("subject %q: %w", subject, err)
		}
		*to = name
	}

	var err error
	if s.Event, s.Type, err = fromTail(tokens[3], tokens[4]); err != nil {
		return Subject{}, fmt.Errorf("subject %q: %w", subject, err)
	}
	return s, nil
}

// SubjectEvent takes the subject of an event apart without allocating: the tokens of its
// host, group and process, and supervisor's name of the event. With it, ticks can be
// counted and names filtered without decoding the payload.
//
// ok is false for any other subject, and for an event whose name is not known here and is
// too long for its token.
func SubjectEvent(subject string) (host, group, process, event string, ok bool) {
	rest, ok := strings.CutPrefix(subject, EventPrefix)
	if !ok {
		return "", "", "", "", false
	}

	host, rest, _ = strings.Cut(rest, ".")
	group, rest, _ = strings.Cut(rest, ".")
	process, rest, _ = strings.Cut(rest, ".")
	if host == "" || group == "" || process == "" {
		return "", "", "", "", false
	}
	if event = namesByTail[rest]; event != "" {
		return host, group, process, event, true
	}

	family, kind, _ := strings.Cut(rest, ".")
	switch {
	case kind == "" || strings.Contains(kind, "."):
	case family == familyRemoteCommunication:
		return host, group, process, RemoteCommunication, true
	case family == familyOther:
		if name, err := ParseToken(kind); err == nil {
			return host, group, process, name, true
		}
	}
	return "", "", "", "", false
}

// namesByTail are the known names by the last two tokens of their subjects.
var namesByTail = func() map[string]string {
	m := make(map[string]string, len(tails))
	for name, tail := range tails {
		m[tail[0]+"."+tail[1]] = name
	}
	return m
}()

// SnapshotSubject is where a host's process table is published.
func SnapshotSubject(host string) string { return SnapshotPrefix + Token(host) }

// BridgeSubject is where a host's bridge publishes its records of one kind.
func BridgeSubject(host, kind string) string { return BridgePrefix + Token(host) + "." + kind }

// OfHost reports whether a subject below a prefix belongs to a host. Rights are granted on
// subjects, so what a payload says about its host is true only if the subject says the
// same.
func OfHost(subject, prefix, host string) bool {
	rest, ok := strings.CutPrefix(subject, prefix)
	name, _, _ := strings.Cut(rest, ".")
	return ok && token.Is(name, host)
}

// AlertSubject is where the notifications of a rule about a process are published.
func AlertSubject(host, group, process, rule string) string {
	return AlertPrefix + Token(host) + "." + Token(group) + "." + Token(process) + "." + Token(rule)
}

// StateKey is the key of a process in the bucket of states.
func StateKey(host, group, process string) string {
	return Token(host) + "." + Token(group) + "." + Token(process)
}

// AlertKey is the key of an alert in the bucket of alerts.
func AlertKey(rule, host, group, process string) string {
	return Token(rule) + "." + StateKey(host, group, process)
}
