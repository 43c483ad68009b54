package mail

import (
	"fmt"
	netmail "net/mail"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// maxAddress is RFC 5321's limit of a path, without the angle brackets.
const maxAddress = 254

// parseAddress reads one address, with or without a name before it: as it is written, and
// as a server gets it, with its domain in ASCII.
func parseAddress(key, s string) (address, envelope *netmail.Address, err error) {
	const wanted = "want one address, for example ops@example.com"
	if hasControl(s) {
		// A line end here would begin a header or an SMTP command of its own.
		return nil, nil, fmt.Errorf("%s: invalid address %q: it holds control characters; %s", key, s, wanted)
	}
	address, err = netmail.ParseAddress(s)
	if err != nil {
		why := strings.TrimPrefix(err.Error(), "mail: ")
		return nil, nil, fmt.Errorf("%s: invalid address %q (%s): %s", key, s, why, wanted)
	}

	// net/mail takes the quotes off, and go-mail puts what was in them between the angle
	// brackets of MAIL and RCPT as it is.
	at := strings.LastIndexByte(address.Address, '@')
	local, domain := address.Address[:at], address.Address[at+1:]
	if strings.ContainsAny(local, " \t<>\"\\,;:()[]@") || strings.ContainsAny(domain, " \t<>\"\\,;()@") {
		return nil, nil, fmt.Errorf("%s: invalid address %q: it needs quotes; "+
			"want one without, for example ops@example.com", key, s)
	}
	if hasControl(address.Address) || hasControl(address.Name) {
		return nil, nil, fmt.Errorf("%s: invalid address %q: it holds control characters", key, s)
	}
	if n := len(address.Address); n > maxAddress {
		return nil, nil, fmt.Errorf("%s: invalid address %.40q…: it has %d characters, want at most %d",
			key, s, n, maxAddress)
	}

	if envelope, err = inASCII(address); err != nil {
		return nil, nil, fmt.Errorf("%s: invalid address %q: %w", key, s, err)
	}
	return address, envelope, nil
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

// domains turns names beyond ASCII into those that DNS and servers know: bücher becomes
// xn--bcher-kva. It takes what DNS takes, underscores too.
var domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false))

// asciiDomain is a domain in ASCII. One that already is stays as it is written.
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

// inASCII is an address with its domain in ASCII: the domain is the same, and a server needs
// no SMTPUTF8 for it. What is before the @ has no such form.
func inASCII(a *netmail.Address) (*netmail.Address, error) {
	at := strings.LastIndexByte(a.Address, '@')
	domain, err := asciiDomain(a.Address[at+1:])
	if err != nil {
		return nil, err
	}
	return &netmail.Address{Name: a.Name, Address: a.Address[:at+1] + domain}, nil
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}
