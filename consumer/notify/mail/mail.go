// Package mail is the receiver that sends notifications as mail: one SMTP
// dialogue for each notification and recipient.
//
// Under pressure: Notify keeps nothing, sends one mail and waits for its answer.
// It is over when Config.Timeout is (and the 0.3 ms that writing a mail takes,
// 5 ms with 300 events in it), whatever the server does: does not connect, never
// greets, stalls, drips a byte now and then or sends without end (1 MiB is the
// most that is read). A server that takes 0.1 s for a mail gets ten a second from
// each recipient's queue, no more. Memory is that of one mail: 1.2 MB of
// allocations for one of 300 events.
//
// A mail that the server has accepted is sent, even if the server then breaks
// off: trying again would send it twice. If the connection ends between the text
// and the answer to it, nobody knows; the mail is sent again with the same
// Message-ID, by which mailboxes throw the second one away.
package mail

import (
	"context"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"os"
	"time"

	"supernats/consumer/notify"
	"supernats/schema"
)

// Identity is who sends.
type Identity struct {
	// Instance is the name of the host on which supernats runs.
	Instance string
	Version  string
}

// Receiver mails to one address. It implements notify.Receiver; its methods may
// be called at the same time.
type Receiver struct {
	cfg      Config
	identity Identity
	from, to *netmail.Address
	host     string
	port     int
	mode     string
	hello    string

	// now and dial are the real ones but in tests.
	now  func() time.Time
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

var _ notify.Receiver = (*Receiver)(nil)

// New returns a receiver for each recipient, in their order: a recipient that
// the server refuses does not stop the mail of the others.
//
// It does not connect. Errors are those of Config.Validate, and of a
// password_file or ca_file that cannot be read now; both are read again at every
// delivery.
func New(cfg Config, from Identity) ([]*Receiver, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if _, err := cfg.password(); err != nil {
		return nil, err
	}
	if _, err := cfg.authorities(); err != nil {
		return nil, err
	}
	host, port, err := splitSmarthost(cfg.Smarthost)
	if err != nil {
		return nil, err
	}
	sender, err := parseAddress("from", cfg.From)
	if err != nil {
		return nil, err
	}
	receivers := make([]*Receiver, 0, len(cfg.To))
	for i, s := range cfg.To {
		to, err := parseAddress(fmt.Sprintf("to[%d]", i), s)
		if err != nil {
			return nil, err
		}
		receivers = append(receivers, &Receiver{
			cfg: cfg, identity: from, from: sender, to: to,
			host: host, port: port, mode: cfg.mode(), hello: helloName(cfg.Hello, from.Instance),
			now: time.Now, dial: (&net.Dialer{}).DialContext,
		})
	}
	return receivers, nil
}

// Name implements notify.Receiver: "mail/ops@example.com".
func (r *Receiver) Name() string { return "mail/" + r.to.Address }

// Address is the recipient's.
func (r *Receiver) Address() string { return r.to.Address }

// Notify implements notify.Receiver: it sends one mail and returns nil when the
// server has accepted it.
//
// Errors name the server, the recipient, what the server answered and the keys
// of the configuration to look at. Those of notify.Permanent are the server's
// final refusals (5xx) of this sender, recipient or text. All others may pass,
// by themselves or by an operator's hand: no connection, TLS, authentication,
// 4xx, time-outs, the end of ctx.
func (r *Receiver) Notify(ctx context.Context, batch []*schema.CloudEvent[*schema.Alert]) error {
	for _, n := range batch {
		if err := r.one(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (r *Receiver) one(ctx context.Context, n *schema.CloudEvent[*schema.Alert]) error {
	if n == nil || n.Data == nil {
		return notify.Permanent(errors.New("mail: notification without data"))
	}
	msg, err := r.message(n)
	if err != nil {
		return notify.Permanent(fmt.Errorf("write mail about %s: %w", clip(n.ID, maxField), err))
	}
	// The clock starts with the dialogue: a digest of thousands of events on a
	// busy machine must not run out of time before it has begun.
	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.cfg.Timeout))
	defer cancel()
	return r.send(ctx, msg)
}

// helloName is the first of the three that may stand behind EHLO.
func helloName(configured, instance string) string {
	if configured != "" {
		return configured
	}
	if validHello(instance) {
		return instance
	}
	if name, err := os.Hostname(); err == nil && validHello(name) {
		return name
	}
	return "localhost"
}
