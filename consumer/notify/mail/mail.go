// Package mail is the receiver that sends notifications as mail: one mail, in one
// SMTP dialogue, for each batch and recipient. A batch of one is a mail about one
// alert; a batch of several is a digest that counts them, by rule and host, and
// then lists every event of every one of them, the worst first: none is ever left
// out, only logs are.
//
// Under pressure: Notify keeps nothing, sends one mail and waits for its answer.
// It is over when Config.Timeout is, a second more for each 64 KiB of the mail (and
// the time that writing the mail takes), whatever the server does: does not connect, never greets, stalls, drips a byte
// now and then or sends without end (1 MiB is the most that is read). So a server
// that takes 2 s for a mail takes 30 a minute, and who batches what has come
// meanwhile tells a thousand crashes in ten seconds by a handful of them.
//
// An event takes some 200 bytes of a digest in its two bodies together, a line
// or two each of at most 400 characters; 5 different logs are shown, those of the
// worst alerts, 4 KiB of each, 40 KiB in all (a mail about one alert: 64 KiB). Measured on two busy
// cores, text, HTML and encoding:
//
//	events   alerts   mail      time     allocated
//	     1        1   5.0 kB    0.4 ms   0.1 MB
//	 1,000    1,000   0.2 MB      7 ms     4 MB
//	10,000   10,000   2.1 MB     52 ms    37 MB
//	10,000       20   1.0 MB     15 ms    13 MB
//
// A server that says by SIZE that it takes less is not sent the mail, and that is
// an error of notify.Permanent, as its answer 552 is: half of the batch may pass.
// The time-out is for the mail as a whole: 2 MB take 16 s on a line of 1 Mbit/s, and
// may take 10 s and 30.
//
// A mail that the server has accepted is sent, even if the server then breaks
// off: trying again would send it twice. If the connection ends between the text
// and the answer to it, nobody knows; the mail is sent again with the same
// Message-ID, by which mailboxes throw the second one away. The Message-ID of a
// digest is made of all its ids, so this holds if the same batch comes again.
package mail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	netmail "net/mail"
	"os"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/wording"
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
	// to is the recipient as it is written in the configuration; sender and
	// recipient are what servers get, their domains in ASCII.
	to                *netmail.Address
	sender, recipient *netmail.Address
	// host is that of the server, in ASCII.
	host  string
	port  int
	mode  string
	hello string
	own   *templates
	// logins is shared by all recipients of a section.
	logins *lastLogin
	// location is the zone of the times in a mail.
	location *time.Location

	// now and dial are the real ones but in tests.
	now  func() time.Time
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

var _ notify.Receiver = (*Receiver)(nil)

// New returns a receiver for each recipient, in their order: a recipient that
// the server refuses does not stop the mail of the others.
//
// It does not connect. Errors are those of Config.Validate, and of a
// password_file, token_file or ca_file that cannot be read now; they are read again
// at every delivery.
func New(cfg Config, from Identity) ([]*Receiver, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	// A program that gives a token may take its time, and may fail now and then.
	if len(cfg.TokenCommand) == 0 {
		if _, err := cfg.credentials(context.Background()); err != nil {
			return nil, err
		}
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
	if sender, err = inASCII(sender); err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	if host, err = asciiDomain(host); err != nil {
		return nil, fmt.Errorf("smarthost: %w", err)
	}
	own, err := cfg.templates()
	if err != nil {
		return nil, err
	}
	location, err := cfg.location()
	if err != nil {
		return nil, err
	}
	logins := &lastLogin{}
	receivers := make([]*Receiver, 0, len(cfg.To))
	for i, s := range cfg.To {
		to, err := parseAddress(fmt.Sprintf("to[%d]", i), s)
		if err != nil {
			return nil, err
		}
		recipient, err := inASCII(to)
		if err != nil {
			return nil, fmt.Errorf("to[%d]: %w", i, err)
		}
		receivers = append(receivers, &Receiver{
			cfg: cfg, identity: from, to: to, sender: sender, recipient: recipient,
			host: host, port: port, mode: cfg.mode(), hello: helloName(cfg.Hello, from.Instance), own: own, logins: logins, location: location,
			now: time.Now, dial: (&net.Dialer{}).DialContext,
		})
	}
	return receivers, nil
}

// Name implements notify.Receiver: "mail/ops@example.com".
func (r *Receiver) Name() string { return "mail/" + r.to.Address }

// Address is the recipient's.
func (r *Receiver) Address() string { return r.to.Address }

// Notify implements notify.Receiver: it sends one mail about the whole batch and
// returns nil when the server has accepted it.
//
// Errors name the server, the recipient, what the server answered and the keys
// of the configuration to look at. Those of notify.Permanent are the server's
// final refusals (5xx) of this sender, recipient or text, and a mail that is
// bigger than the server says it takes: half the batch may pass. All others may
// pass, by themselves or by an operator's hand: no connection, TLS,
// authentication, 4xx, time-outs, the end of ctx. What comes before the mail itself,
// up to the recipient, is an Outage: it would be the same for any other mail.
func (r *Receiver) Notify(ctx context.Context, batch []*schema.CloudEvent[*schema.Notification]) error {
	if len(batch) == 0 {
		return notify.Permanent(errors.New("mail: empty batch"))
	}
	for _, n := range batch {
		if n == nil || n.Data == nil {
			return notify.Permanent(errors.New("mail: notification without data"))
		}
	}
	msg, err := r.message(batch)
	if err != nil {
		return notify.Permanent(fmt.Errorf("write mail about %s: %w", wording.Clip(batch[0].ID, maxField), err))
	}
	size, err := msg.WriteTo(io.Discard)
	if err != nil {
		return notify.Permanent(fmt.Errorf("write mail about %s: %w", wording.Clip(batch[0].ID, maxField), err))
	}

	// The clock starts with the dialogue: a digest of thousands of events on a
	// busy machine must not run out of time before it has begun.
	ctx, cancel := context.WithTimeout(ctx, r.timeout(size))
	defer cancel()
	return r.send(ctx, msg, size)
}

// slowest is the speed in bytes a second with which a mail may be on its way.
const slowest = 64 << 10

// timeout is how long a mail of a size may take.
func (r *Receiver) timeout(size int64) time.Duration {
	return time.Duration(r.cfg.Timeout) + time.Duration(size/slowest)*time.Second
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
