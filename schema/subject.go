package schema

import (
	"fmt"
	"strings"
)

// What a subject of ours begins with.
const (
	EventPrefix    = "supervisor.event."
	SnapshotPrefix = "supervisor.snapshot."
	BridgePrefix   = "supervisor.bridge."
	AlertPrefix    = "supervisor.alert."
)

// Kinds of the bridge's own records, the last token of their subject.
const (
	BridgeStarted   = "started"
	BridgeStopping  = "stopping"
	BridgeReconnect = "reconnect"
	BridgeLoss      = "loss"
)

// Subject is what the subject of an event tells, in plain names.
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
// Errors: ErrShortened (wrapped) where a name is too long to be recovered, or
// one that says which token is malformed.
func ParseSubject(subject string) (Subject, error) {
	rest, ok := strings.CutPrefix(subject, EventPrefix)
	if !ok {
		return Subject{}, errorf("subject %q does not begin with %q", subject, EventPrefix)
	}
	tokens := strings.Split(rest, ".")
	if len(tokens) != 5 {
		return Subject{}, errorf("subject %q has %d tokens behind %q, not host.group.process.family.kind", subject, len(tokens), EventPrefix)
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

// SnapshotSubject is where a host's process table is published.
func SnapshotSubject(host string) string { return SnapshotPrefix + Token(host) }

// BridgeSubject is where a host's bridge publishes its records of one kind.
func BridgeSubject(host, kind string) string { return BridgePrefix + Token(host) + "." + kind }

// OfHost reports whether a subject is one of a host's below a prefix. Rights are
// granted on subjects, so what a payload says of its host is true only if the
// subject says the same.
func OfHost(subject, prefix, host string) bool {
	rest, ok := strings.CutPrefix(subject, prefix)
	token, _, _ := strings.Cut(rest, ".")
	return ok && token == Token(host)
}

// AlertSubject is where the notifications of a rule about a process go.
func AlertSubject(host, group, process, rule string) string {
	return AlertPrefix + Token(host) + "." + Token(group) + "." + Token(process) + "." + Token(rule)
}

// StateKey is the key of a process in the bucket of states.
func StateKey(host, group, process string) string {
	return Token(host) + "." + Token(group) + "." + Token(process)
}

// AlertKey is the key of an alert in the bucket of open alerts.
func AlertKey(rule, host, group, process string) string {
	return Token(rule) + "." + StateKey(host, group, process)
}
