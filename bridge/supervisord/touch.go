package supervisord

import (
	"context"
	"fmt"
	"net"
	"net/url"
)

// Touch connects to supervisord's XML-RPC, says that nothing will follow, and waits
// until supervisord hangs up. It asks nothing, needs no password, and ends the sleep in
// which supervisord waits for something to do (supervisord.py runforever, poll): twice,
// since it accepts in one round and reads in the next.
func (c *Client) Touch(ctx context.Context) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", c.name, err)
	}
	defer conn.Close()

	half, ok := conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return nil
	}
	if end, ok := ctx.Deadline(); ok {
		_ = conn.SetReadDeadline(end)
	}
	_, _ = conn.Read(make([]byte, 1)) // the end, or supervisord is busy
	return nil
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
