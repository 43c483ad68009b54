package mail

import (
	"fmt"
	netmail "net/mail"
	"strings"

	"github.com/wneessen/go-mail/smtp"
	"golang.org/x/net/idna"

	"supernats/consumer/notify"
)

// domains turns names beyond ASCII into those that DNS and servers know: bücher
// becomes xn--bcher-kva. It takes what DNS takes, underscores too.
var domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false))

// asciiDomain returns a domain in ASCII, one that already is as it is written.
func asciiDomain(domain string) (string, error) {
	if isASCII(domain) {
		return domain, nil
	}
	ascii, err := domains.ToASCII(domain)
	if err != nil {
		return "", fmt.Errorf("%q is no domain: %w", domain, err)
	}
	return ascii, nil
}

// inASCII returns an address with its domain in ASCII: the domain is the same, and
// a server needs no SMTPUTF8 for it. What is before the @ has no such form.
func inASCII(a *netmail.Address) (*netmail.Address, error) {
	at := strings.LastIndexByte(a.Address, '@')
	domain, err := asciiDomain(a.Address[at+1:])
	if err != nil {
		return nil, err
	}
	return &netmail.Address{Name: a.Name, Address: a.Address[:at+1] + domain}, nil
}

// carries reports whether the server takes these addresses (RFC 6531).
func (r *Receiver) carries(session *smtp.Client) error {
	if ok, _ := session.Extension("SMTPUTF8"); ok {
		return nil
	}
	for _, a := range []struct{ key, address string }{{"from", r.sender.Address}, {"to", r.recipient.Address}} {
		if !isASCII(a.address) {
			what := fmt.Sprintf("the server takes no address beyond ASCII before the @ (no SMTPUTF8): %s", a.address)
			return notify.Outage(notify.Permanent(r.fail(what, a.key, nil)))
		}
	}
	return nil
}
