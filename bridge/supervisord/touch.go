package supervisord

import (
	"context"
	"fmt"
	"net"
	"net/url"
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

// hostPort is where the server of an address that parseURL has accepted listens.
func hostPort(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = u.Scheme // its usual one
	}
	return net.JoinHostPort(u.Hostname(), port)
}
