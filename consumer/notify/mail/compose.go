package mail

import (
	"crypto/sha256"
	"fmt"
	netmail "net/mail"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"supernats/consumer/notify"
	"supernats/consumer/notify/mail/letter"
	"supernats/consumer/notify/mail/summary"
	"supernats/consumer/wording"
	"supernats/schema"
)

// composer makes the mails for one recipient. It is set once.
type composer struct {
	// sender and recipient are what servers get: their domains are in ASCII.
	sender, recipient *netmail.Address
	// version is that of supernats.
	version string
	writer  *letter.Writer
}

// message writes the mail about a batch, with the time of now.
func (c *composer) message(
	batch []*notify.Notification, now time.Time,
) (*gomail.Msg, error) {
	l, err := c.writer.Write(batch, now)
	if err != nil {
		return nil, err
	}

	m := gomail.NewMsg()
	m.FromMailAddress(c.sender)
	m.ToMailAddress(c.recipient)
	m.Subject(l.Subject)
	m.SetDateWithValue(now.UTC())
	m.SetMessageIDWithValue(c.batchID(batch))
	if l.OneIncident {
		// All mails of one incident are one thread; its root need not exist. One of
		// several incidents would tie their threads together.
		m.SetGenHeader(gomail.HeaderReferences, "<"+c.messageID("alert/"+batch[0].Data.Incident)+">")
	}

	// These keep out-of-office answers away: RFC 3834, and what Exchange reads.
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "All")
	version := summary.HeaderValue(wording.Clip(c.version, wording.MaxName))
	m.SetUserAgent(strings.TrimSpace("supernats " + version))
	for _, f := range l.Fields {
		m.SetGenHeader(gomail.Header(f.Name), f.Value)
	}

	m.SetBodyString(gomail.TypeTextPlain, l.Text)
	m.AddAlternativeString(gomail.TypeTextHTML, l.HTML)
	return m, nil
}

// batchID is the Message-ID of a mail. It is made of the ids of its notifications, so that
// the same batch has the same and another batch another.
func (c *composer) batchID(batch []*notify.Notification) string {
	if len(batch) == 1 {
		return c.messageID(batch[0].ID)
	}

	h := sha256.New()
	for _, n := range batch {
		// With its length: no two lists of ids are one text.
		_, _ = fmt.Fprintf(h, "%d:%s", len(n.ID), n.ID)
	}
	// No token has a dot in it: no single notification has this one.
	return fmt.Sprintf("digest.%d.%x@%s", len(batch), h.Sum(nil)[:16], c.domain())
}

// messageID is the same for the same id, and another for another: a subject token holds
// only characters that are allowed in the left part of a msg-id.
func (c *composer) messageID(id string) string { return schema.Token(id) + "@" + c.domain() }

// domain is the right part of a msg-id.
func (c *composer) domain() string {
	domain := c.sender.Address[strings.LastIndexByte(c.sender.Address, '@')+1:]
	if strings.ContainsFunc(domain, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '.')
	}) {
		// An address in brackets, or letters that only SMTPUTF8 could carry.
		domain = schema.Token(domain)
	}
	return domain
}
