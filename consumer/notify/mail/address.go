package mail

import (
	"fmt"
	netmail "net/mail"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
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
		return "", fmt.Errorf("invalid domain %q: %w", domain, err)
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

// parseAddress reads one address, with or without a name before it.
func parseAddress(key, s string) (*netmail.Address, error) {
	if hasControl(s) {
		// A line end here would begin a header or an SMTP command of its own.
		return nil, fmt.Errorf("%s: invalid address %q: it holds control characters; want one address, for example ops@example.com", key, s)
	}
	address, err := netmail.ParseAddress(s)
	if err != nil {
		return nil, fmt.Errorf("%s: invalid address %q (%s): want one address, for example ops@example.com", key, s, strings.TrimPrefix(err.Error(), "mail: "))
	}
	at := strings.LastIndexByte(address.Address, '@')
	local, domain := address.Address[:at], address.Address[at+1:]
	// net/mail takes the quotes off, and go-mail puts what was in them between
	// the angle brackets of MAIL and RCPT as it is.
	if strings.ContainsAny(local, " \t<>\"\\,;:()[]@") || strings.ContainsAny(domain, " \t<>\"\\,;()@") {
		return nil, fmt.Errorf("%s: invalid address %q: it needs quotes; want one without, for example ops@example.com", key, s)
	}
	if hasControl(address.Address) || hasControl(address.Name) {
		return nil, fmt.Errorf("%s: invalid address %q: it holds control characters", key, s)
	}
	if len(address.Address) > maxAddress {
		return nil, fmt.Errorf("%s: invalid address %.40q…: it has %d characters, want at most %d", key, s, len(address.Address), maxAddress)
	}
	if _, err := inASCII(address); err != nil {
		return nil, fmt.Errorf("%s: invalid address %q: %w", key, s, err)
	}
	return address, nil
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}
