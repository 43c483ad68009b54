package mail

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"supernats/consumer/wording"
	"supernats/schema"
)

// Headers for filters of mailboxes, beside the standard ones. In a digest those
// with several values list them with commas, headerAlert and headerProcess are
// left out, and so is a list that is too long for a header.
const (
	headerAutoSubmitted = "Auto-Submitted"
	headerKind          = "X-Supernats-Notification" // firing, update or resolved
	headerCount         = "X-Supernats-Notifications"
	headerEvents        = "X-Supernats-Events"
	headerAlert         = "X-Supernats-Alert"
	headerRule          = "X-Supernats-Rule"
	headerSeverity      = "X-Supernats-Severity" // of several the worst
	headerHost          = "X-Supernats-Host"
	headerProcess       = "X-Supernats-Process"
)

// message writes the mail about a batch.
func (r *Receiver) message(batch []*schema.CloudEvent[*schema.Notification]) (*gomail.Msg, error) {
	now := r.now().In(r.location)
	c, err := render(batch, r.own, r.identity, now)
	if err != nil {
		return nil, err
	}
	m := gomail.NewMsg()
	m.FromMailAddress(r.sender)
	m.ToMailAddress(r.recipient)
	m.Subject(headerValue(c.subject))
	m.SetDateWithValue(now.UTC())
	m.SetMessageIDWithValue(r.batchID(batch))
	if sameAlert(batch) {
		// All mails of one incident are one thread; its root need not exist. One of
		// several incidents would tie their threads together.
		m.SetGenHeader(gomail.HeaderReferences, "<"+r.messageID("alert/"+batch[0].Data.Incident)+">")
	}
	// So that no out-of-office answers: RFC 3834, and what Exchange reads.
	m.SetGenHeader(headerAutoSubmitted, "auto-generated")
	m.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "All")
	m.SetUserAgent(strings.TrimSpace("supernats " + headerValue(wording.Clip(r.identity.Version, maxField))))
	for _, h := range headers(batch) {
		if value := headerValue(wording.Clip(h.Value, maxField)); value != "" {
			m.SetGenHeader(gomail.Header(h.Name), value)
		}
	}
	m.SetBodyString(gomail.TypeTextPlain, c.text)
	m.AddAlternativeString(gomail.TypeTextHTML, c.html)
	return m, nil
}

// headers are those by which a mailbox can sort the mail.
func headers(batch []*schema.CloudEvent[*schema.Notification]) []row {
	type notification = schema.CloudEvent[*schema.Notification]
	// all lists what the notifications of a batch have of something.
	all := func(value func(*notification) string) string {
		var list []string
		seen, size := make(map[string]bool), 0
		for _, n := range batch {
			v := value(n)
			if v == "" || seen[v] {
				continue
			}
			if len(batch) > 1 {
				v = wording.Cell(v, maxSubjectName)
			}
			if size += len(v) + 2; size > maxField && len(list) > 0 {
				return ""
			}
			seen[value(n)] = true
			list = append(list, v)
		}
		return strings.Join(list, ", ")
	}
	rows := []row{
		{headerKind, all(func(n *notification) string { return n.Type[strings.LastIndexByte(n.Type, '.')+1:] })},
		{headerRule, all(func(n *notification) string { return n.Data.Rule })},
		{headerSeverity, worst(batch)},
		{headerHost, all(func(n *notification) string { return n.Data.Host })},
	}
	if a := batch[0].Data; sameAlert(batch) {
		rows = append(rows, row{headerAlert, a.Incident}, row{headerProcess, wording.ProcessName(a.Group, a.Process)})
	}
	if len(batch) > 1 {
		events := 0
		for _, n := range batch {
			events += len(n.Data.Events)
		}
		rows = append(rows, row{headerCount, strconv.Itoa(len(batch))}, row{headerEvents, strconv.Itoa(events)})
	}
	return rows
}

// batchID is the Message-ID of a mail: made of the ids of its notifications, so
// that the same batch has the same and another batch another.
func (r *Receiver) batchID(batch []*schema.CloudEvent[*schema.Notification]) string {
	if len(batch) == 1 {
		return r.messageID(batch[0].ID)
	}
	h := sha256.New()
	for _, n := range batch {
		// With its length: no two lists of ids are one text.
		_, _ = fmt.Fprintf(h, "%d:%s", len(n.ID), n.ID)
	}
	// No token has a dot in it: no single notification has this one.
	return fmt.Sprintf("digest.%d.%x@%s", len(batch), h.Sum(nil)[:16], r.domain())
}

// messageID is the same for the same id, and another for another: a subject
// token holds only characters that are allowed in the left part of a msg-id.
func (r *Receiver) messageID(id string) string { return schema.Token(id) + "@" + r.domain() }

// domain is the right part of a msg-id.
func (r *Receiver) domain() string {
	domain := r.sender.Address[strings.LastIndexByte(r.sender.Address, '@')+1:]
	if strings.ContainsFunc(domain, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.')
	}) {
		// An address in brackets, or letters that only SMTPUTF8 could carry.
		domain = schema.Token(domain)
	}
	return domain
}

// headerValue keeps a name that looks like an encoded word ("=?utf-8?q?…?=")
// from being decoded by the reader's program, and runs of spaces from being
// folded into an empty line, which some programs take for the end of the
// header. Line ends are escaped already.
func headerValue(s string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(s, "=?", "= ?")), " ")
}
