package app

import (
	"errors"
	"fmt"
	"time"

	"supernats/consumer"
	"supernats/consumer/fit"
	"supernats/consumer/state"
	"supernats/schema"
)

// Hosts write what they like. What is taken from their messages is bounded here, so that
// no record, alert or id becomes larger than a message may be. A message with longer
// names is none of a bridge's.
const (
	// longestName is how long the name of a host, a group or a process may be in bytes,
	// longestID an id; longestLabel is for the names of supervisords, sections and versions.
	longestName  = 1 << 10
	longestID    = 2 << 10
	longestLabel = 256
	// maxBoot is longer than a boot is.
	maxBoot = 64
	// maxSpawnErr is how much is kept of supervisord's text about a program that could
	// not be started.
	maxSpawnErr = 1 << 10
	// sane is by how much a host's clock may differ from the stream's: with more,
	// differences of times do not fit into a time.Duration.
	sane = 100 * 365 * 24 * time.Hour
)

// text is one that a message has, with the most that it may be long.
type text struct {
	what, value string
	most        int
}

func bounded(texts ...text) error {
	for _, t := range texts {
		if len(t.value) > t.most {
			return fmt.Errorf("%s %.40q… has %d bytes: want at most %d", t.what, t.value, len(t.value), t.most)
		}
	}
	return nil
}

// eventOf decodes an event.
func eventOf(in *consumer.Message) (*schema.CloudEvent[*schema.Event], error) {
	ce, err := in.Event()
	if err != nil {
		return nil, err
	}
	e := ce.Data
	err = bounded(
		text{"host", e.Host, longestName}, text{"group", e.Group, longestName}, text{"process", e.Process, longestName},
		text{"server", e.Server, longestLabel}, text{"pool", e.Pool, longestLabel}, text{"boot", e.Boot, maxBoot},
		text{"event", e.Event, longestLabel}, text{"from_state", e.FromState, longestLabel},
	)
	if err != nil {
		return nil, fmt.Errorf("event %.100q: %w", ce.ID, err)
	}
	if x := e.Exit; x != nil {
		x.SpawnErr, x.Signal, x.Source = fit.Text(x.SpawnErr, maxSpawnErr), fit.Text(x.Signal, longestLabel), fit.Text(x.Source, longestLabel)
		if x.OOM != nil {
			x.OOM.Cgroup = fit.Text(x.OOM.Cgroup, longestName)
		}
	}
	return ce, nil
}

// read decodes a record of a bridge, which must be of the host of its subject.
func read[T any](in *consumer.Message, prefix string, host func(*T) string) (*schema.CloudEvent[*T], error) {
	ce, err := schema.Unmarshal[*T](in.Data)
	switch {
	case err != nil:
	case ce.Data == nil || host(ce.Data) == "":
		err = fmt.Errorf("record %.100q has no host", ce.ID)
	case !schema.OfHost(in.Subject, prefix, host(ce.Data)):
		err = fmt.Errorf("record %.100q of host %.100q was published on %s, by another host", ce.ID, host(ce.Data), in.Subject)
	default:
		if err = boundedRecord(any(ce.Data)); err != nil {
			err = fmt.Errorf("record %.100q: %w", ce.ID, err)
		} else if err = bounded(text{"id", ce.ID, longestID + longestName}, text{"host", host(ce.Data), longestName}); err != nil {
			err = fmt.Errorf("record: %w", err)
		}
	}
	if err != nil {
		return nil, unreadable{err}
	}
	return ce, nil
}

func boundedRecord(record any) error {
	switch r := record.(type) {
	case *schema.Snapshot:
		errs := []error{bounded(text{"server", r.Server, longestLabel}, text{"boot", r.Boot, maxBoot}, text{"supervisor_version", r.SupervisorVersion, longestLabel}, text{"supervisor_state", r.SupervisorState, longestLabel})}
		for i := range r.Processes {
			p := &r.Processes[i]
			p.SpawnErr = fit.Text(p.SpawnErr, maxSpawnErr)
			if len(p.Group) > longestName || len(p.Process) > longestName {
				errs = append(errs, bounded(text{"group", p.Group, longestName}, text{"process", p.Process, longestName}))
				break
			}
		}
		return errors.Join(errs...)
	case *schema.Bridge:
		return bounded(
			text{"server", r.Server, longestLabel}, text{"boot", r.Boot, maxBoot}, text{"pool", r.Pool, longestLabel},
			text{"bridge_version", r.BridgeVersion, longestLabel}, text{"instance", r.Instance, longestLabel}, text{"settings.address", r.Settings["address"], longestLabel},
		)
	case *schema.Loss:
		return bounded(text{"boot", r.Boot, maxBoot}, text{"pool", r.Pool, longestLabel}, text{"cause", r.Cause, longestLabel})
	case *schema.Trouble:
		return bounded(text{"server", r.Server, longestLabel}, text{"boot", r.Boot, maxBoot}, text{"pool", r.Pool, longestLabel}, text{"cause", r.Cause, longestLabel})
	case *schema.Resent:
		return bounded(text{"server", r.Server, longestLabel}, text{"boot", r.Boot, maxBoot}, text{"pool", r.Pool, longestLabel})
	}
	return nil
}

// correct makes the time of a message right if its host's clock is wrong. One that is
// off by a century, or that does not say the time, says nothing: the message happened
// when the stream got it. An alarm too many is better than a crash that is held to be
// too old.
func correct[T any](f *state.Fleet, in *consumer.Message, host, boot string, ce *schema.CloudEvent[T]) state.Meta {
	at := state.Meta{Seq: in.Seq, Stored: in.Stored, Sent: in.Sent}
	if !isSane(ce.Time.Time, in.Stored) {
		ce.Time.Time = in.Stored.UTC().Truncate(time.Microsecond)
		return at
	}
	if !at.Sent.IsZero() && !isSane(at.Sent, in.Stored) {
		return at
	}
	if at.Shift = f.Shift(at, host, boot, ce.Time.Time); at.Shift != 0 {
		ce.Time.Time = ce.Time.Add(at.Shift)
	}
	return at
}

func isSane(t, stored time.Time) bool { return t.Sub(stored).Abs() < sane }
