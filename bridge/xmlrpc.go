package bridge

import (
	"context"
	"errors"

	"supernats/bridge/pulse"
	"supernats/bridge/supervisord"
	"supernats/schema"
)

var errNoServer = errors.New("supervisord has no XML-RPC for us")

// xmlrpc is supervisord's XML-RPC. The functions that its methods return are nil where
// there is none for us.
type xmlrpc struct {
	client  *supervisord.Client // nil without one
	answers *pulse.Answers
}

// askProcesses asks for the process table.
func (x xmlrpc) askProcesses(ctx context.Context) ([]schema.SnapshotProcess, error) {
	if x.client == nil {
		return nil, errNoServer
	}
	table, err := x.client.Processes(ctx)
	if err == nil {
		x.answers.Answered()
	}
	return table, err
}

// scrapeFailed reports that supervisord has not answered a scrape.
func (x xmlrpc) scrapeFailed(err error) {
	var fault *supervisord.Fault
	switch {
	case errors.Is(err, errNoServer): // reported at the start
	case errors.As(err, &fault) && fault.Code == supervisord.FaultShutdownState: // it is stopping
	default:
		x.answers.Failed(err)
	}
}

// askPID asks supervisord for its process id.
func (x xmlrpc) askPID() func(context.Context) (int, error) {
	if x.client == nil {
		return nil
	}
	return x.client.PID
}

// askSnapshot asks for the process table with what supervisord says of itself.
func (x xmlrpc) askSnapshot() func(context.Context) (*schema.Snapshot, error) {
	if x.client == nil {
		return nil
	}
	return func(ctx context.Context) (*schema.Snapshot, error) {
		snap, _, err := x.client.Snapshot(ctx)
		return snap, err
	}
}

// askStopping asks supervisord whether it stops.
func (x xmlrpc) askStopping() func(context.Context) (bool, error) {
	if x.client == nil {
		return nil
	}
	return x.client.Stopping
}

// startStopped starts a process that does not run.
func (x xmlrpc) startStopped() func(ctx context.Context, group, process string) error {
	if x.client == nil {
		return nil
	}
	return x.client.StartStopped
}

// touchToWake wakes supervisord.
func (x xmlrpc) touchToWake() func(context.Context) error {
	if x.client == nil {
		return nil
	}
	return x.client.Touch
}
