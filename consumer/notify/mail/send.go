package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"supernats/consumer/notify"
	"supernats/consumer/wording"
	"supernats/schema/secretfile"
)

const (
	// maxAnswers is how much a server may send in one dialogue. A real one sends
	// a few KiB, certificates included; go-mail would collect an answer without
	// end in memory.
	maxAnswers = 1 << 20
	// quitTimeout is how long the farewell may take when all is said.
	quitTimeout = time.Second
)

// errFlood ends the dialogue with a server that sends more than maxAnswers.
var errFlood = errors.New("server sends without end")

// send has one dialogue with the server about a mail of a size, or one more for each
// mechanism of AUTH after whose refusal the server hangs up. ctx must have a deadline.
func (r *Receiver) send(ctx context.Context, msg *gomail.Msg, size int64) error {
	has, err := r.cfg.credentials(ctx)
	if err != nil {
		return notify.Outage(r.fail(err.Error(), "", err))
	}
	tlsConfig, err := r.tlsConfig()
	if err != nil {
		return notify.Outage(r.fail(err.Error(), "", err))
	}

	tried := map[gomail.SMTPAuthType]error{}
	for {
		again, err := r.dialogue(ctx, msg, size, has, tlsConfig, tried)
		if !again || ctx.Err() != nil {
			return err
		}
	}
}

// dialogue says hello, logs in and sends the mail; again says that another one may
// get further.
func (r *Receiver) dialogue(
	ctx context.Context, msg *gomail.Msg, size int64, has credentials, tlsConfig *tls.Config, tried map[gomail.SMTPAuthType]error,
) (again bool, err error) {
	// go-mail's context ends with its dialling, and its deadline is moved on with
	// every message: the connection itself has to know when all is over.
	var conn *boundConn
	dial := func(dialCtx context.Context, network, _ string) (net.Conn, error) {
		// How big the mail is makes no difference yet.
		dialCtx, cancel := context.WithTimeout(dialCtx, time.Duration(r.cfg.Timeout))
		defer cancel()
		inner, err := r.dial(dialCtx, network, net.JoinHostPort(r.host, fmt.Sprint(r.port)))
		if err != nil {
			return nil, err
		}
		conn = bind(ctx, inner, time.Duration(r.cfg.Timeout))
		if r.mode != TLSImplicit {
			return conn, nil
		}
		// It must be a *tls.Conn that go-mail gets: by that it knows that the
		// password may be sent.
		secure := tls.Client(conn, tlsConfig)
		return secure, secure.HandshakeContext(dialCtx)
	}
	defer func() {
		// go-mail leaves the connection open where EHLO, TLS or AUTH went wrong.
		if conn != nil {
			_ = conn.Close()
		}
	}()
	client, err := gomail.NewClient(r.host, r.options(tlsConfig, dial, r.timeout(size))...)
	if err != nil {
		return false, notify.Outage(r.fail(err.Error(), "smarthost", err))
	}

	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return false, notify.Outage(r.explain(ctx, err, conn, has.secret, size))
	}
	quit := func() {
		// Polite, and of no consequence: the answer to the text was the last that
		// mattered. A failed QUIT counted as an error would send the mail twice.
		_ = conn.SetDeadline(time.Now().Add(quitTimeout))
		_ = session.Quit()
	}
	var notLoggedIn *loginError
	if r.cfg.Username != "" {
		more, err := r.login(session, has, tried)
		if err != nil && (!errors.As(err, &notLoggedIn) || !notLoggedIn.mayDoWithout) {
			if !more && ctx.Err() == nil {
				quit()
			}
			return more, notify.Outage(r.explain(ctx, err, conn, has.secret, size))
		}
	}
	if err := r.carries(session); err != nil {
		quit()
		return false, err
	}
	if _, limit := session.Extension("SIZE"); tooBig(size, limit) {
		quit()
		return false, notify.Permanent(r.fail("mail is bigger than the "+wording.Clip(limit, maxSubjectName)+" bytes that the server takes", "how big a mail may be there", nil))
	}

	err = client.SendWithSMTPClient(session, msg)
	if msg.IsDelivered() {
		quit()
		return false, nil
	}
	if ctx.Err() == nil {
		quit()
	}
	switch {
	case notLoggedIn != nil && ctx.Err() == nil:
		return false, notify.Outage(r.explain(ctx, notLoggedIn, conn, has.secret, size))
	case err == nil:
		err = errors.New("mail was not sent, for no reason that is known")
	}
	return false, r.explain(ctx, err, conn, has.secret, size)
}

// tooBig reports whether a mail has more bytes than a server announces with
// SIZE (RFC 1870): it would take the whole text in and then refuse it. No number
// and 0 are no limit.
func tooBig(size int64, announced string) bool {
	limit, err := strconv.ParseInt(announced, 10, 64)
	return err == nil && limit > 0 && size > limit
}

func (r *Receiver) options(tlsConfig *tls.Config, dial gomail.DialContextFunc, timeout time.Duration) []gomail.Option {
	options := []gomail.Option{
		gomail.WithPort(r.port),
		gomail.WithTimeout(timeout),
		gomail.WithHELO(r.hello),
		gomail.WithDialContextFunc(dial),
		gomail.WithTLSConfig(tlsConfig),
		// NOOP and RSET are for connections that are used again. A failed RSET
		// behind an accepted mail would look like a failed mail.
		gomail.WithoutNoop(), gomail.WithoutRset(),
	}
	switch r.mode {
	case TLSImplicit:
		options = append(options, gomail.WithSSL())
	case TLSStartTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case TLSNone:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if isASCII(r.sender.Address) && isASCII(r.recipient.Address) {
		// go-mail marks every mail as SMTPUTF8 where the server knows it, and the
		// next server that does not know it would send the mail back.
		options = append(options, gomail.WithoutSMTPUTF8())
	}
	return options
}

func (r *Receiver) tlsConfig() (*tls.Config, error) {
	roots, err := r.cfg.authorities()
	if err != nil {
		return nil, err
	}
	return &tls.Config{ServerName: r.host, RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

// authorities are those of ca_file, nil for the system's.
func (c Config) authorities() (*x509.CertPool, error) {
	if c.CAFile == "" {
		return nil, nil
	}
	b, err := secretfile.Bytes(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("ca_file: %s holds no certificate in PEM", c.CAFile)
	}
	return pool, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}

// boundConn is a connection that ends with a context, whatever deadlines are
// set on it, and reads no more than maxAnswers. A server that reads nothing ends it
// sooner: however big a mail is, some of it has to be read within stall.
type boundConn struct {
	net.Conn
	deadline time.Time
	stall    time.Duration
	received int
	// stalled says that nothing was read in time.
	stalled bool
	stop    func() bool
}

// bind takes over c, which is closed when ctx ends or by Close.
func bind(ctx context.Context, c net.Conn, stall time.Duration) *boundConn {
	deadline, _ := ctx.Deadline()
	b := &boundConn{Conn: c, deadline: deadline, stall: stall}
	_ = c.SetDeadline(deadline)
	b.stop = context.AfterFunc(ctx, func() { _ = c.Close() })
	return b
}

// Read implements net.Conn. One goroutine at a time calls it.
func (b *boundConn) Read(p []byte) (int, error) {
	if b.received >= maxAnswers {
		return 0, errFlood
	}
	n, err := b.Conn.Read(p)
	b.received += n
	return n, err
}

// Write implements net.Conn. One goroutine at a time calls it.
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

// SetDeadline and its like never move a deadline past that of the context.
func (b *boundConn) SetDeadline(t time.Time) error { return b.Conn.SetDeadline(b.clamp(t)) }

func (b *boundConn) SetReadDeadline(t time.Time) error { return b.Conn.SetReadDeadline(b.clamp(t)) }

func (b *boundConn) SetWriteDeadline(t time.Time) error { return b.Conn.SetWriteDeadline(b.clamp(t)) }

func (b *boundConn) clamp(t time.Time) time.Time {
	if t.IsZero() || t.After(b.deadline) {
		return b.deadline
	}
	return t
}
