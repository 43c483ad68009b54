package machine

import (
	"errors"
	"fmt"
	"time"

	"supernats/consumer"
	"supernats/consumer/fit"
	"supernats/consumer/state"
	"supernats/schema"
)

// Hosts write what they like. Their messages are bounded here, so that no record, alert or id
// becomes larger than a message may be. No bridge writes longer names. All bounds are in
// bytes.
const (
	// maxName bounds the names of hosts, groups and processes, maxID ids, maxLabel the names
	// of supervisords and sections, and versions.
	maxName  = 1 << 10
	maxID    = 2 << 10
	maxLabel = 256
	// maxBoot is longer than any boot.
	maxBoot = 64
	// maxReason is how much is kept of why somebody takes care of an alert.
	maxReason = 1 << 10
	// maxSpawnErr is how much is kept of supervisord's text about a failed start.
	maxSpawnErr = 1 << 10
)

// maxClockError is by how much a host's clock may differ from the stream's. A larger
// difference might not fit into a time.Duration.
const maxClockError = 100 * 365 * 24 * time.Hour

// text is a text of a message and the number of bytes that it may have.
type text struct {
	what, value string
	limit       int
}

// checkBounds returns the error of the first text that is too long.
func checkBounds(texts ...text) error {
	for _, t := range texts {
		if len(t.value) > t.limit {
			return fmt.Errorf("%s %.40q… has %d bytes: want at most %d", t.what, t.value, len(t.value), t.limit)
		}
	}
	return nil
}

// decodeEvent decodes an event.
func decodeEvent(in *consumer.Message) (*schema.CloudEvent[*schema.Event], error) {
	ce, err := in.Event()
	if err != nil {
		return nil, err
	}
	e := ce.Data
	err = checkBounds(
		text{"host", e.Host, maxName}, text{"group", e.Group, maxName}, text{"process", e.Process, maxName},
		text{"server", e.Server, maxLabel}, text{"pool", e.Pool, maxLabel}, text{"boot", e.Boot, maxBoot},
		text{"event", e.Event, maxLabel}, text{"from_state", e.FromState, maxLabel},
	)
	if err != nil {
		return nil, fmt.Errorf("event %.100q: %w", ce.ID, err)
	}

	if x := e.Exit; x != nil {
		x.SpawnErr = fit.Text(x.SpawnErr, maxSpawnErr)
		x.Signal = fit.Text(x.Signal, maxLabel)
		x.Source = fit.Text(x.Source, maxLabel)
		if x.OOM != nil {
			x.OOM.Cgroup = fit.Text(x.OOM.Cgroup, maxName)
		}
	}
	return ce, nil
}

func decodeLoss(in *consumer.Message) (*schema.CloudEvent[*schema.Loss], error) {
	return decodeRecord(in, schema.BridgePrefix, func(l *schema.Loss) string { return l.Host })
}

// decodeRecord decodes a record of a bridge, which must name the host of its subject. The
// error is Unreadable.
func decodeRecord[T any](in *consumer.Message, prefix string, hostOf func(*T) string) (*schema.CloudEvent[*T], error) {
	ce, err := schema.Unmarshal[*T](in.Data)
	if err != nil {
		return nil, Unreadable{err}
	}
	if ce.Data == nil || hostOf(ce.Data) == "" {
		return nil, Unreadable{fmt.Errorf("record %.100q has no host", ce.ID)}
	}
	host := hostOf(ce.Data)
	if !schema.OfHost(in.Subject, prefix, host) {
		err := fmt.Errorf("record %.100q of host %.100q was published on %s, by another host", ce.ID, host, in.Subject)
		return nil, Unreadable{err}
	}

	if err := boundRecord(any(ce.Data)); err != nil {
		return nil, Unreadable{fmt.Errorf("record %.100q: %w", ce.ID, err)}
	}
	if err := checkBounds(text{"id", ce.ID, maxID + maxName}, text{"host", host, maxName}); err != nil {
		return nil, Unreadable{fmt.Errorf("record: %w", err)}
	}
	return ce, nil
}

// decodeAck decodes an acknowledgement, which must name the alert of its subject: a right to
// publish is one to acknowledge certain alerts. The error is Unreadable.
func decodeAck(in *consumer.Message) (*schema.CloudEvent[*schema.Ack], error) {
	ce, err := schema.Unmarshal[*schema.Ack](in.Data)
	if err != nil {
		return nil, Unreadable{err}
	}
	a := ce.Data
	switch {
	case ce.Type != schema.TypeAck && ce.Type != schema.TypeUnack:
		return nil, Unreadable{fmt.Errorf("acknowledgement %.100q is of type %.100q: want %s or %s",
			ce.ID, ce.Type, schema.TypeAck, schema.TypeUnack)}
	case a == nil || a.Incident == "" || a.By == "":
		return nil, Unreadable{fmt.Errorf("acknowledgement %.100q does not say of which alert, or by whom", ce.ID)}
	case in.Subject != a.Subject():
		err := fmt.Errorf("acknowledgement %.100q of alert %.100q was published on %s, which is another one's",
			ce.ID, a.Incident, in.Subject)
		return nil, Unreadable{err}
	}

	a.By = fit.Text(a.By, maxLabel)
	a.Reason = fit.Text(a.Reason, maxReason)
	a.For = min(a.For, schema.Duration(schema.MaxAckFor))
	return ce, nil
}

// boundRecord shortens the long texts of a record, and returns an error if a name is too
// long.
func boundRecord(record any) error {
	switch r := record.(type) {
	case *schema.Snapshot:
		return boundSnapshot(r)
	case *schema.Bridge:
		return checkBounds(
			text{"server", r.Server, maxLabel}, text{"boot", r.Boot, maxBoot}, text{"pool", r.Pool, maxLabel},
			text{"bridge_version", r.BridgeVersion, maxLabel}, text{"instance", r.Instance, maxLabel},
			text{"settings.address", r.Settings["address"], maxLabel},
		)

	case *schema.Loss:
		return checkBounds(
			text{"boot", r.Boot, maxBoot}, text{"pool", r.Pool, maxLabel}, text{"cause", r.Cause, maxLabel},
		)

	case *schema.Trouble:
		return checkBounds(
			text{"server", r.Server, maxLabel}, text{"boot", r.Boot, maxBoot}, text{"pool", r.Pool, maxLabel},
			text{"cause", r.Cause, maxLabel},
		)

	case *schema.Resent:
		return checkBounds(
			text{"server", r.Server, maxLabel}, text{"boot", r.Boot, maxBoot}, text{"pool", r.Pool, maxLabel},
		)
	}
	return nil
}

func boundSnapshot(s *schema.Snapshot) error {
	err := checkBounds(
		text{"server", s.Server, maxLabel}, text{"boot", s.Boot, maxBoot},
		text{"supervisor_version", s.SupervisorVersion, maxLabel},
		text{"supervisor_state", s.SupervisorState, maxLabel},
	)
	for i := range s.Processes {
		p := &s.Processes[i]
		p.SpawnErr = fit.Text(p.SpawnErr, maxSpawnErr)
		tooLong := checkBounds(text{"group", p.Group, maxName}, text{"process", p.Process, maxName})
		if tooLong != nil {
			return errors.Join(err, tooLong)
		}
	}
	return err
}

// admit checks that there is room for the host of a message: without permissions in NATS,
// anybody can invent names. Then it corrects the time of the message and returns its meta.
// The error is Unreadable.
func admit[T any](m *Machine, in *consumer.Message, host, boot string, ce *schema.CloudEvent[T]) (state.Meta, error) {
	if err := m.Fleet.Admits(host); err != nil {
		return state.Meta{}, Unreadable{err}
	}
	return correct(m.Fleet, in, host, boot, ce), nil
}

// correct corrects the time of a message if the host's clock is wrong. A clock that is off by
// a century, or was never set, means nothing: then the time is when the stream stored the
// message. Better one alarm too many than a crash that is taken for too old.
func correct[T any](f *state.Fleet, in *consumer.Message, host, boot string, ce *schema.CloudEvent[T]) state.Meta {
	at := state.Meta{Seq: in.Seq, Stored: in.Stored, Sent: in.Sent}
	if !isPlausible(ce.Time.Time, in.Stored) {
		ce.Time.Time = in.Stored.UTC().Truncate(time.Microsecond)
		return at
	}
	if !at.Sent.IsZero() && !isPlausible(at.Sent, in.Stored) {
		return at
	}

	at.Shift = f.Shift(at, host, boot, ce.Time.Time)
	if at.Shift != 0 {
		ce.Time.Time = ce.Time.Add(at.Shift)
	}
	return at
}

func isPlausible(t, stored time.Time) bool { return t.Sub(stored).Abs() < maxClockError }
