// Package mail is the receiver that sends notifications as mail: one mail, in one SMTP
// dialogue, for each batch and recipient. A batch of one is a mail about one alert; a
// batch of several is a digest. Package letter words both; this package sends them.
//
// Under pressure: Notify keeps nothing, sends one mail and waits for its answer. It ends
// when Config.Timeout is over, plus a second for each 64 KiB of the mail (and the time
// that writing the mail takes), whatever the server does: it does not connect, never
// greets, stalls, sends a byte now and then or sends without end (1 MiB is the most that
// is read). So a server that takes 2 s for a mail takes 30 a minute, and a caller that
// batches what has come meanwhile reports a thousand crashes in ten seconds in a handful
// of mails.
//
// An event takes some 200 bytes of a digest in its two bodies together, a line or two
// each of at most 400 characters. Five different logs are shown, those of the worst
// alerts, 4 KiB of each, 40 KiB in all (a mail about one alert: 64 KiB). Measured on two
// busy cores, text, HTML and encoding:
//
//	events   alerts   mail      time     allocated
//	     1        1   5.0 kB    0.4 ms   0.1 MB
//	 1,000    1,000   0.2 MB      7 ms     4 MB
//	10,000   10,000   2.1 MB     52 ms    37 MB
//	10,000       20   1.0 MB     15 ms    13 MB
//
// A server that announces with SIZE that it takes less does not get the mail. That is an
// error of notify.Permanent, as its answer 552 is: half of the batch may pass. The time
// limit is for the mail as a whole: 2 MB take 16 s on a line of 1 Mbit/s, and may take
// 10 s and 30.
//
// A mail that the server has accepted is sent, even if the server then breaks off:
// another try would send it twice. If the connection ends between the text and the answer
// to it, nobody knows. The mail is sent again with the same Message-ID, by which mailboxes
// drop the second one. The Message-ID of a digest is made of all its ids, so this holds
// if the same batch comes again.
package mail

import (
	"context"
	"fmt"
	"io"
	netmail "net/mail"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/notify/mail/letter"
	"supernats/consumer/wording"
)

// Receiver mails to one address. It implements notify.Receiver; its methods may be called
// at the same time. Its fields are set once.
type Receiver struct {
	cfg Config
	// to is the recipient as the configuration writes it.
	to       *netmail.Address
	server   *server
	login    *authenticator
	composer *composer
	faults   *faults

	// now is the real clock except in tests.
	now func() time.Time
}

var _ notify.Receiver = (*Receiver)(nil)

// New returns a receiver for each recipient, in their order: a recipient that the server
// refuses does not stop the mail of the others.
//
// It does not connect. Errors are those of Config.Validate, and of a password_file,
// token_file or ca_file that cannot be read now; they are read again at every delivery.
func New(cfg Config, from notify.Identity) ([]*Receiver, error) {
	s, err := cfg.parse()
	if err != nil {
		return nil, err
	}
	if err := cfg.checkFiles(); err != nil {
		return nil, err
	}

	// What all recipients share.
	server := newServer(s, from.Instance)
	login := newAuthenticator(cfg, server)
	writer := letter.NewWriter(s.templates, from, s.location)

	receivers := make([]*Receiver, len(s.recipients))
	for i, to := range s.recipients {
		receivers[i] = &Receiver{
			cfg: cfg, to: to, server: server, login: login,
			composer: &composer{sender: s.sender, recipient: s.envelopes[i], version: from.Version, writer: writer},
			faults:   &faults{cfg: cfg, to: to.Address, server: server},
			now:      time.Now,
		}
	}
	return receivers, nil
}

// Name implements notify.Receiver: "mail/ops@example.com".
func (r *Receiver) Name() string { return "mail/" + r.to.Address }

// Address is the recipient's.
func (r *Receiver) Address() string { return r.to.Address }

// Notify implements notify.Receiver: it sends one mail about the whole batch and returns
// nil when the server has accepted it.
//
// Errors name the server, the recipient, what the server answered and the keys of the
// configuration to check. Those of notify.Permanent are the server's final refusals (5xx)
// of this sender, recipient or text, and a mail that is bigger than the server takes: half
// the batch may pass. All others may pass, by themselves or by an operator's hand: no
// connection, TLS, authentication, 4xx, time limits, the end of ctx. What comes before the
// mail itself, up to the recipient, is an Outage: it would be the same for any other mail.
func (r *Receiver) Notify(ctx context.Context, batch []*notify.Notification) error {
	if err := notify.Check(batch); err != nil {
		return notify.Permanent(fmt.Errorf("mail: %w", err))
	}

	msg, err := r.composer.message(batch, r.now())
	if err != nil {
		return notify.Permanent(fmt.Errorf("write mail about %s: %w", wording.Clip(batch[0].ID, wording.MaxText), err))
	}
	size, err := msg.WriteTo(io.Discard)
	if err != nil {
		return notify.Permanent(fmt.Errorf("write mail about %s: %w", wording.Clip(batch[0].ID, wording.MaxText), err))
	}

	// The clock starts with the dialogue: a digest of thousands of events on a busy
	// machine must not run out of time before it has begun.
	ctx, cancel := context.WithTimeout(ctx, r.server.timeoutFor(size))
	defer cancel()

	has, err := r.cfg.credentials(ctx)
	if err != nil {
		return notify.Outage(r.faults.deliveryFailure(err.Error(), "", err))
	}
	tlsConfig, err := r.cfg.tlsConfig(r.server.host)
	if err != nil {
		return notify.Outage(r.faults.deliveryFailure(err.Error(), "", err))
	}
	d := &delivery{
		server: r.server, login: r.login, faults: r.faults, tls: tlsConfig, has: has,
		sender: r.composer.sender.Address, recipient: r.composer.recipient.Address,
		msg: msg, size: size,
	}
	return d.send(ctx)
}

// checkFiles reads the files that every delivery reads. A program that gives a token may
// take its time, and may fail now and then: it is not run here.
func (c Config) checkFiles() error {
	if len(c.TokenCommand) == 0 {
		if _, err := c.credentials(context.Background()); err != nil {
			return err
		}
	}
	_, err := c.authorities()
	return err
}
