package supervisord

import (
	"context"
	"fmt"
	"strings"

	"supernats/schema"
)

const getAllProcessInfo = "supervisor.getAllProcessInfo"

// Snapshot reads the process table, and supervisord's own pid. Host, Boot,
// Serial and Reason are the caller's to fill. Once supervisord is asked to stop it answers
// with a *Fault of FaultShutdownState only.
func (c *Client) Snapshot(ctx context.Context) (snap *schema.Snapshot, pid int, err error) {
	answers, err := c.ask(ctx,
		question{method: getAllProcessInfo},
		question{method: "supervisor.getState"},
		question{method: "supervisor.getSupervisorVersion"},
		question{method: "supervisor.getIdentification"},
		question{method: "supervisor.getPID"},
	)
	if err != nil {
		return nil, 0, err
	}

	// The others are left empty where a port of supervisord has no such method.
	if err := answers[0].err; err != nil {
		return nil, 0, fmt.Errorf("read process table at %s: %w", c.name, err)
	}
	processes, err := c.processes(answers[0].value)
	if err != nil {
		return nil, 0, err
	}

	state, _ := answers[1].value.(map[string]any)
	snap = &schema.Snapshot{
		Server:            text(answers[3].value),
		SupervisorVersion: text(answers[2].value),
		SupervisorState:   supervisorState(text(state["statename"])),
		Processes:         processes,
	}
	return snap, int(integer(answers[4].value)), nil
}

// Processes reads the process table alone.
func (c *Client) Processes(ctx context.Context) ([]schema.SnapshotProcess, error) {
	value, _, err := c.call(ctx, getAllProcessInfo)
	if err != nil {
		return nil, err
	}
	return c.processes(value)
}

// processes is the answer of getAllProcessInfo.
func (c *Client) processes(value any) ([]schema.SnapshotProcess, error) {
	rows, ok := value.([]any)
	if !ok && value != nil {
		return nil, fmt.Errorf("read process table at %s: %w: want an array, got %T", c.name, ErrNotXMLRPC, value)
	}

	all := make([]schema.SnapshotProcess, 0, len(rows))
	for _, r := range rows {
		if row, ok := r.(map[string]any); ok && text(row["name"]) != "" {
			all = append(all, process(row))
		}
	}
	return all, nil
}

// process is one row of getProcessInfo.
func process(row map[string]any) schema.SnapshotProcess {
	p := schema.SnapshotProcess{
		Group:         text(row["group"]),
		Process:       text(row["name"]),
		State:         strings.ToUpper(text(row["statename"])), // the Go port writes Running
		PID:           int(max(integer(row["pid"]), 0)),
		Start:         max(integer(row["start"]), 0),
		Stop:          max(integer(row["stop"]), 0),
		ExitStatus:    int(integer(row["exitstatus"])),
		SpawnErr:      text(row["spawnerr"]),
		Description:   text(row["description"]),
		StdoutLogfile: text(row["stdout_logfile"]),
		StderrLogfile: text(row["stderr_logfile"]),
	}
	if p.Group == "" {
		p.Group = p.Process
	}

	if !schema.IsState(p.State) {
		p.State = schema.StateUnknown
	}
	return p
}

func supervisorState(name string) string {
	switch name = strings.ToUpper(name); name {
	case schema.SupervisorFatal, schema.SupervisorRestarting, schema.SupervisorShutdown:
		return name
	}
	return schema.SupervisorRunning // it answered
}
