package mail

import (
	"strings"

	gomail "github.com/wneessen/go-mail"

	"supernats/schema"
)

// Headers for filters of mailboxes, beside the standard ones.
const (
	headerAutoSubmitted = "Auto-Submitted"
	headerKind          = "X-Supernats-Notification" // firing, update or resolved
	headerAlert         = "X-Supernats-Alert"
	headerRule          = "X-Supernats-Rule"
	headerSeverity      = "X-Supernats-Severity"
	headerHost          = "X-Supernats-Host"
	headerProcess       = "X-Supernats-Process"
)

// message writes the mail about a notification.
func (r *Receiver) message(n *schema.CloudEvent[*schema.Alert]) (*gomail.Msg, error) {
	now, a := r.now(), n.Data
	v := newView(n, r.identity, now)
	text, html, err := v.bodies()
	if err != nil {
		return nil, err
	}
	m := gomail.NewMsg()
	m.FromMailAddress(r.from)
	m.ToMailAddress(r.to)
	m.Subject(headerValue(v.Subject))
	m.SetDateWithValue(now.UTC())
	m.SetMessageIDWithValue(r.messageID(n.ID))
	// All mails of one incident are one thread; its root need not exist.
	m.SetGenHeader(gomail.HeaderReferences, "<"+r.messageID("alert/"+a.Alert)+">")
	// So that no out-of-office answers: RFC 3834, and what Exchange reads.
	m.SetGenHeader(headerAutoSubmitted, "auto-generated")
	m.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "All")
	m.SetUserAgent(strings.TrimSpace("supernats " + headerValue(clip(r.identity.Version, maxField))))
	for _, h := range []row{
		{headerKind, n.Type[strings.LastIndexByte(n.Type, '.')+1:]},
		{headerAlert, a.Alert},
		{headerRule, a.Rule},
		{headerSeverity, a.Severity},
		{headerHost, a.Host},
		{headerProcess, processName(a.Group, a.Process)},
	} {
		if value := clip(h.Value, maxField); value != "" {
			m.SetGenHeader(gomail.Header(h.Name), headerValue(value))
		}
	}
	m.SetBodyString(gomail.TypeTextPlain, text)
	m.AddAlternativeString(gomail.TypeTextHTML, html)
	return m, nil
}

// messageID is the same for the same id, and another for another: a subject
// token holds only characters that are allowed in the left part of a msg-id.
func (r *Receiver) messageID(id string) string {
	domain := r.from.Address[strings.LastIndexByte(r.from.Address, '@')+1:]
	if strings.ContainsFunc(domain, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.')
	}) {
		// An address in brackets, or letters that only SMTPUTF8 could carry.
		domain = schema.Token(domain)
	}
	return schema.Token(id) + "@" + domain
}

// headerValue keeps a name that looks like an encoded word ("=?utf-8?q?…?=")
// from being decoded by the reader's program, and runs of spaces from being
// folded into an empty line, which some programs take for the end of the
// header. Line ends are escaped already.
func headerValue(s string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(s, "=?", "= ?")), " ")
}
