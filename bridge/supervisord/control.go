package supervisord

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"supernats/schema"
)

// PID returns supervisord's process id, as supervisord itself sees it.
func (c *Client) PID(ctx context.Context) (int, error) {
	value, _, err := c.call(ctx, "supervisor.getPID")
	return int(integer(value)), err
}

// Stopping reports whether supervisord is shutting down or reloading its configuration.
// From then on it answers every call with a fault (rpcinterface.py _update).
func (c *Client) Stopping(ctx context.Context) (bool, error) {
	value, _, err := c.call(ctx, "supervisor.getState")
	var fault *Fault
	if errors.As(err, &fault) && fault.ShuttingDown() {
		return true, nil
	}
	if err != nil {
		return false, err
	}

	state, _ := value.(map[string]any)
	name := strings.ToUpper(text(state["statename"]))
	if name == "" {
		return false, fmt.Errorf("ask for supervisord's state at %s: no statename in %.100v", c.name, value)
	}
	return name == schema.SupervisorShutdown || name == schema.SupervisorRestarting, nil
}

// StartStopped starts a process that does not run, without waiting for it. It is not an
// error if supervisord does not have the process, or is shutting down.
func (c *Client) StartStopped(ctx context.Context, group, name string) error {
	value, _, err := c.call(ctx, "supervisor.getProcessInfo", group+":"+name)
	if err == nil {
		row, _ := value.(map[string]any)
		if state := process(row).State; state != schema.StateStopped && state != schema.StateExited {
			return nil
		}
		_, _, err = c.call(ctx, "supervisor.startProcess", group+":"+name, false)
	}

	harmless := []int{FaultBadName, FaultAlreadyStarted, FaultShutdownState}
	var fault *Fault
	if errors.As(err, &fault) && slices.Contains(harmless, fault.Code) {
		return nil
	}
	return err
}
