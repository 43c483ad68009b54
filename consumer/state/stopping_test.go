package state_test

import (
	"testing"
	"time"

	"supernats/consumer/state"
	"supernats/schema"
)

// Since when a supervisord has been stopping is what silences of restarts start
// from: the time of the stream.
func TestStopping(t *testing.T) {
	f := state.NewFleet()
	stored := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	apply := func(seq uint64, event string) *schema.Time {
		e := &schema.Event{Event: event, Host: "web1", Boot: "4f0c6d1e2a90b7c3", Serial: seq}
		c := f.Event(state.Meta{Seq: seq, Stored: stored.Add(time.Duration(seq) * time.Second)}, e.Envelope(stored))
		return c.Host.Stopping
	}
	if at := apply(1, schema.Tick5); at != nil {
		t.Errorf("stopping since %v", at)
	}
	if at := apply(2, schema.SupervisorStateChangeStopping); at == nil || !at.Equal(stored.Add(2*time.Second)) {
		t.Errorf("stopping since %v", at)
	}
	if at := apply(3, schema.Tick5); at == nil || !at.Equal(stored.Add(2*time.Second)) {
		t.Errorf("stopping since %v", at)
	}
	if at := apply(4, schema.SupervisorStateChangeRunning); at != nil {
		t.Errorf("stopping since %v", at)
	}
}
