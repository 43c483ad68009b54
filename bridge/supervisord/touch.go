package supervisord

import (
	"context"
	"fmt"
)

// Touch connects to supervisord's XML-RPC and hangs up: it asks nothing, needs no
// password, and ends the sleep in which supervisord waits for something to do
// (supervisord.py runforever, poll).
func (c *Client) Touch(ctx context.Context) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", c.name, err)
	}
	return conn.Close()
}
