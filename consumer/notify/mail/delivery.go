package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"supernats/consumer/notify"
	"supernats/consumer/wording"
)

// quitTimeout is how long the farewell may take after the answer to the text.
const quitTimeout = time.Second

// delivery is one mail on its way. It takes one dialogue, and one more for each mechanism
// of AUTH after whose refusal the server hangs up. One goroutine owns it.
type delivery struct {
	server *server
	login  *authenticator
	faults *faults
	tls    *tls.Config
	has    credentials

	msg *gomail.Msg
	// size is that of the mail, in bytes.
	size int64
	// sender and recipient are the addresses of the envelope.
	sender, recipient string

	// refused are the answers to the mechanisms that were refused in earlier dialogues.
	refused map[gomail.SMTPAuthType]error
	// conn is that of the current dialogue, nil until there is one.
	conn *boundConn
}

// send returns nil when the server has accepted the mail. ctx must have a deadline.
func (d *delivery) send(ctx context.Context) error {
	d.refused = map[gomail.SMTPAuthType]error{}
	for {
		another, err := d.dialogue(ctx)
		if !another || ctx.Err() != nil {
			return err
		}
	}
}

// dialogue says hello, logs in and sends the mail; another says that another dialogue may
// get further.
func (d *delivery) dialogue(ctx context.Context) (another bool, err error) {
	d.conn = nil
	defer func() {
		// go-mail leaves the connection open where EHLO, TLS or AUTH went wrong.
		if d.conn != nil {
			_ = d.conn.Close()
		}
	}()

	client, err := gomail.NewClient(d.server.host, d.options(ctx)...)
	if err != nil {
		return false, notify.Outage(d.faults.deliveryFailure(err.Error(), "smarthost", err))
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return false, notify.Outage(d.explain(ctx, err))
	}

	withoutLogin, another, err := d.logIn(ctx, session)
	if err != nil {
		return another, err
	}
	if err := d.checkLimits(session); err != nil {
		d.quit(session)
		return false, err
	}
	return false, d.transfer(ctx, client, session, withoutLogin)
}

// options are those of one dialogue.
func (d *delivery) options(ctx context.Context) []gomail.Option {
	options := append(d.server.options(d.tls),
		gomail.WithTimeout(d.server.timeoutFor(d.size)),
		gomail.WithDialContextFunc(func(dialing context.Context, network, _ string) (net.Conn, error) {
			return d.connect(ctx, dialing, network)
		}))
	if isASCII(d.sender) && isASCII(d.recipient) {
		// go-mail marks every mail as SMTPUTF8 where the server knows it, and the next
		// server that does not know it would send the mail back.
		options = append(options, gomail.WithoutSMTPUTF8())
	}
	return options
}

// connect opens the connection of a dialogue. go-mail's context, dialing, ends with its
// dialling, and go-mail moves its deadline on with every message: the connection itself
// has to know that all ends with ctx.
func (d *delivery) connect(ctx, dialing context.Context, network string) (net.Conn, error) {
	// How big the mail is makes no difference yet.
	dialing, cancel := context.WithTimeout(dialing, d.server.timeout)
	defer cancel()

	inner, err := d.server.dial(dialing, network, net.JoinHostPort(d.server.host, strconv.Itoa(d.server.port)))
	if err != nil {
		return nil, err
	}
	d.conn = bind(ctx, inner, d.server.timeout)
	if d.server.mode != TLSImplicit {
		return d.conn, nil
	}

	// It must be a *tls.Conn that go-mail gets: by that it knows that the password may be
	// sent.
	secure := tls.Client(d.conn, d.tls)
	return secure, secure.HandshakeContext(dialing)
}

// logIn logs in if there is a username. Where the server refuses the login and may do
// without one, the refusal is withoutLogin, and err is nil.
func (d *delivery) logIn(
	ctx context.Context, session *smtp.Client,
) (withoutLogin *loginError, another bool, err error) {
	if d.login.username == "" {
		return nil, false, nil
	}

	another, err = d.login.login(session, d.has, d.refused)
	if err == nil || errors.As(err, &withoutLogin) && withoutLogin.mayDoWithout {
		return withoutLogin, false, nil
	}
	if !another && ctx.Err() == nil {
		d.quit(session)
	}
	failure := d.explain(ctx, err)
	if errors.As(err, new(*loginError)) {
		failure = notify.Denied(failure)
	}
	return nil, another, notify.Outage(failure)
}

// checkLimits reports what the server has announced that it does not take.
func (d *delivery) checkLimits(session *smtp.Client) error {
	if ok, _ := session.Extension("SMTPUTF8"); !ok { // RFC 6531
		for _, a := range []struct{ key, address string }{{"from", d.sender}, {"to", d.recipient}} {
			if !isASCII(a.address) {
				what := "the server takes no address beyond ASCII before the @ (no SMTPUTF8): " + a.address
				return notify.Outage(notify.Permanent(d.faults.deliveryFailure(what, a.key, nil)))
			}
		}
	}

	if _, limit := session.Extension("SIZE"); isTooBig(d.size, limit) {
		what := "mail is bigger than the " + wording.Clip(limit, wording.MaxName) + " bytes that the server takes"
		return notify.Permanent(d.faults.deliveryFailure(what, "how big a mail may be there", nil))
	}
	return nil
}

// isTooBig reports whether a mail has more bytes than a server announces with SIZE (RFC
// 1870): it would take the whole text in and then refuse it. No number and 0 are no limit.
func isTooBig(size int64, announced string) bool {
	limit, err := strconv.ParseInt(announced, 10, 64)
	return err == nil && limit > 0 && size > limit
}

// transfer sends the mail. withoutLogin is the refusal of the login, nil if there was
// none: where the server does not take the mail either, that is why.
func (d *delivery) transfer(
	ctx context.Context, client *gomail.Client, session *smtp.Client, withoutLogin *loginError,
) error {
	err := client.SendWithSMTPClient(session, d.msg)
	if d.msg.IsDelivered() {
		d.quit(session)
		return nil
	}

	if ctx.Err() == nil {
		d.quit(session)
	}
	switch {
	case withoutLogin != nil && ctx.Err() == nil:
		return notify.Outage(d.explain(ctx, withoutLogin))
	case err == nil:
		err = errors.New("mail was not sent, for no reason that is known")
	}
	return d.explain(ctx, err)
}

// quit is polite and of no consequence: the answer to the text was the last that mattered.
// A failed QUIT that counted as an error would send the mail twice.
func (d *delivery) quit(session *smtp.Client) {
	_ = d.conn.SetDeadline(time.Now().Add(quitTimeout))
	_ = session.Quit()
}

// explain words an error of the dialogue and decides whether another try is of use.
func (d *delivery) explain(ctx context.Context, err error) error {
	answer, clean := d.faults.redact(err.Error(), d.has.secret)
	cause := err
	if !clean {
		cause = nil
	}

	deadline, _ := ctx.Deadline()
	var refused *gomail.SendError
	switch isSend := errors.As(err, &refused); {
	case isSend && refused.ErrorCode() >= 400:
		return d.faults.refusal(refused, answer, cause)
	case errors.Is(ctx.Err(), context.Canceled):
		return d.faults.deliveryFailure("cancelled while waiting for the server", "", ctx.Err())
	case ctx.Err() != nil || !time.Now().Before(deadline), d.conn != nil && d.conn.stalled:
		// The context's end and the connection's deadline are one instant, and either may
		// be seen first.
		what, check := d.faults.timedOut(d.conn, answer, d.size)
		return d.faults.deliveryFailure(what, check, context.DeadlineExceeded)
	}
	return d.faults.deliveryFailure(answer, d.faults.advice(err, answer, d.conn), cause)
}
