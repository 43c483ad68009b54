package mail

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// maxAnswers is how much a server may send in one dialogue, in bytes. A real one sends a
// few KiB, certificates included; go-mail would collect an answer without end in memory.
const maxAnswers = 1 << 20

// errFlood ends the dialogue with a server that sends more than maxAnswers.
var errFlood = errors.New("server sends without end")

// boundConn is a connection that ends with a context, whatever deadlines are set on it,
// and reads no more than maxAnswers. A server that reads nothing ends it sooner: however
// big a mail is, some of it has to be read within stall.
//
// One goroutine at a time reads or writes; the end of the context closes it from another.
type boundConn struct {
	net.Conn
	// deadline is that of the context, stall the longest wait for one write.
	deadline time.Time
	stall    time.Duration
	// received counts the bytes read.
	received int
	// stalled says that nothing was read in time.
	stalled bool
	// stop takes back that the end of the context closes the connection.
	stop func() bool
}

// bind takes over c, which is closed when ctx ends or by Close.
func bind(ctx context.Context, c net.Conn, stall time.Duration) *boundConn {
	deadline, _ := ctx.Deadline()
	b := &boundConn{Conn: c, deadline: deadline, stall: stall}
	_ = c.SetDeadline(deadline)
	b.stop = context.AfterFunc(ctx, func() { _ = c.Close() })
	return b
}

// Read implements net.Conn.
func (b *boundConn) Read(p []byte) (int, error) {
	if b.received >= maxAnswers {
		return 0, errFlood
	}
	n, err := b.Conn.Read(p)
	b.received += n
	return n, err
}

// Write implements net.Conn.
func (b *boundConn) Write(p []byte) (int, error) {
	_ = b.SetWriteDeadline(time.Now().Add(b.stall))
	n, err := b.Conn.Write(p)
	b.stalled = b.stalled || errors.Is(err, os.ErrDeadlineExceeded)
	return n, err
}

// Close implements net.Conn.
func (b *boundConn) Close() error {
	b.stop()
	return b.Conn.Close()
}

// SetDeadline implements net.Conn. Like its siblings it never moves a deadline past that
// of the context.
func (b *boundConn) SetDeadline(t time.Time) error { return b.Conn.SetDeadline(b.clamp(t)) }

// SetReadDeadline implements net.Conn.
func (b *boundConn) SetReadDeadline(t time.Time) error { return b.Conn.SetReadDeadline(b.clamp(t)) }

// SetWriteDeadline implements net.Conn.
func (b *boundConn) SetWriteDeadline(t time.Time) error { return b.Conn.SetWriteDeadline(b.clamp(t)) }

func (b *boundConn) clamp(t time.Time) time.Time {
	if t.IsZero() || t.After(b.deadline) {
		return b.deadline
	}
	return t
}
