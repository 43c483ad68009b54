package mail

import (
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"supernats/consumer/notify/mail/letter"
	"supernats/consumer/notify/mail/letter/custom"
)

// settings are a configuration that is right, with what is read from its texts.
type settings struct {
	cfg Config
	// host is in ASCII.
	host   string
	port   int
	sender *netmail.Address
	// recipients are as they are written, and envelopes as servers get them.
	recipients, envelopes []*netmail.Address
	templates             *custom.Templates
	location              *time.Location
}

// mistakes collects what is wrong with a configuration, a line for each key.
type mistakes struct{ errs []error }

func (m *mistakes) add(err error) {
	if err != nil {
		m.errs = append(m.errs, err)
	}
}

func (m *mistakes) addf(format string, args ...any) {
	m.errs = append(m.errs, fmt.Errorf(format, args...))
}

// Validate reports everything that is wrong, a line for each key. It opens no files; New
// does.
func (c Config) Validate() error {
	_, err := c.parse()
	return err
}

// parse reads all texts. Its error is that of Validate.
func (c Config) parse() (*settings, error) {
	s := &settings{cfg: c}
	m := &mistakes{}

	s.parseServer(m)
	s.parseAddresses(m)
	c.checkCredentials(m)
	c.checkMechanism(m)
	if c.Hello != "" && !validHello(c.Hello) {
		m.addf("hello: invalid value %q: want a name like mon1.example.com or an address like [192.0.2.1]", c.Hello)
	}
	if c.Timeout <= 0 {
		m.addf("timeout: invalid value %s: want a duration above zero; the default is %s", c.Timeout, DefaultTimeout)
	}
	s.parseLetter(m)

	if len(m.errs) > 0 {
		return nil, errors.Join(m.errs...)
	}
	return s, nil
}

// parseServer reads smarthost and tls.
func (s *settings) parseServer(m *mistakes) {
	host, port, err := splitSmarthost(s.cfg.Smarthost)
	m.add(err)
	s.port = port
	if err == nil {
		s.host, err = asciiDomain(host)
		m.add(err)
	}

	switch s.cfg.TLS {
	case "", TLSImplicit, TLSStartTLS, TLSNone:
	default:
		m.addf("tls: invalid value %q: want %s, %s or %s", s.cfg.TLS, TLSImplicit, TLSStartTLS, TLSNone)
	}
}

// parseAddresses reads from and to.
func (s *settings) parseAddresses(m *mistakes) {
	if s.cfg.From == "" {
		m.addf("from: missing; give the sender's address, for example supervisor@example.com")
	} else {
		_, envelope, err := parseAddress("from", s.cfg.From)
		m.add(err)
		s.sender = envelope
	}

	if len(s.cfg.To) == 0 {
		m.addf("to: missing; give at least one address, for example [ops@example.com]")
	}
	seen := make(map[string]bool, len(s.cfg.To))
	for i, to := range s.cfg.To {
		address, envelope, err := parseAddress(fmt.Sprintf("to[%d]", i), to)
		if err != nil {
			m.add(err)
			continue
		}
		// Every recipient has a queue under its address, so one may be there once.
		key := strings.ToLower(address.Address)
		if seen[key] {
			m.addf("to[%d]: duplicate address %s", i, address.Address)
		}
		seen[key] = true
		s.recipients = append(s.recipients, address)
		s.envelopes = append(s.envelopes, envelope)
	}
}

// parseLetter reads location and the templates, and tries them.
func (s *settings) parseLetter(m *mistakes) {
	var err error
	if s.location, err = time.LoadLocation(s.cfg.Location); err != nil {
		m.addf("location: invalid zone %q: want one like Europe/Vienna, UTC or Local", s.cfg.Location)
	}
	if s.templates, err = custom.Parse(s.cfg.Subject, s.cfg.Text, s.cfg.HTML); err != nil {
		m.add(err)
		return
	}
	m.errs = append(m.errs, letter.Check(s.templates)...)
}

// hasToken reports whether the secret is an access token.
func (c Config) hasToken() bool { return c.TokenFile != "" || len(c.TokenCommand) > 0 }

// secretKeys are the keys of the secret that are set, one at most if all is right.
func (c Config) secretKeys() (set []string) {
	for _, k := range []struct {
		name string
		set  bool
	}{
		{"password", c.Password != ""},
		{"password_file", c.PasswordFile != ""},
		{"token_file", c.TokenFile != ""},
		{"token_command", len(c.TokenCommand) > 0},
	} {
		if k.set {
			set = append(set, k.name)
		}
	}
	return set
}

// checkCredentials checks username and the secret.
func (c Config) checkCredentials(m *mistakes) {
	switch set := c.secretKeys(); {
	case len(set) > 1:
		m.addf("%s: given together with %s: want one of the two", set[0], set[1])
	case c.Username == "" && c.PasswordFile != "":
		m.addf("username: missing, but there is a password_file (%s)", c.PasswordFile)
	case c.Username == "" && len(set) > 0:
		m.addf("username: missing, but there is a %s", set[0])
	case c.Username != "" && len(set) == 0:
		m.addf("password_file: missing, but there is a username (%q)", c.Username)
	}

	if len(c.TokenCommand) > 0 && c.TokenCommand[0] == "" {
		m.addf("token_command: begins with an empty name: want a program and its arguments, " +
			"for example [/usr/local/bin/token, ops@example.com]")
	}
	switch {
	case hasControl(c.Username):
		m.addf("username: %q holds control characters", c.Username)
	case strings.TrimSpace(c.Username) != c.Username:
		m.addf("username: %q begins or ends with white space", c.Username)
	}
}

// checkMechanism checks auth.
func (c Config) checkMechanism(m *mistakes) {
	if c.Auth == "" {
		return
	}

	chosen := gomail.SMTPAuthType(strings.ToUpper(c.Auth))
	switch {
	case !slices.Contains(allMechanisms(), strings.ToLower(c.Auth)):
		m.addf("auth: invalid value %q: want one of %s, or nothing for what the server offers",
			c.Auth, strings.Join(allMechanisms(), ", "))
	case c.hasToken() && !slices.Contains(tokens, chosen):
		m.addf("auth: %s takes a password, but there is a token; want xoauth2 or oauthbearer", c.Auth)
	case len(c.secretKeys()) == 0 && c.Username == "":
		m.addf("username: missing, but there is an auth (%s)", c.Auth)
	case c.TLS == TLSNone && !slices.Contains(hashed, chosen):
		if host, _, err := splitSmarthost(c.Smarthost); err == nil && !isLoopback(host) {
			m.addf("auth: %s shows the secret to everybody on the way; "+
				"want TLS, or one of scram-sha-256, scram-sha-1, cram-md5", c.Auth)
		}
	}
}

// mode is the value of tls that is in force.
func (c Config) mode() string {
	if c.TLS != "" {
		return c.TLS
	}
	if _, port, err := splitSmarthost(c.Smarthost); err == nil && port == implicitPort {
		return TLSImplicit
	}
	return TLSStartTLS
}

// splitSmarthost reads the key smarthost.
func splitSmarthost(s string) (host string, port int, err error) {
	const wanted = "want host:port, for example smtp.example.com:465"
	if s == "" {
		return "", 0, errors.New("smarthost: missing; " + wanted)
	}

	host, digits, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, fmt.Errorf("smarthost: invalid value %q: %s", s, wanted)
	}
	if host == "" || strings.ContainsFunc(host, isNoHost) {
		return "", 0, fmt.Errorf("smarthost: no host name in %q: %s", s, wanted)
	}
	if _, err := asciiDomain(host); err != nil {
		return "", 0, fmt.Errorf("smarthost: %w; %s", err, wanted)
	}

	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("smarthost: invalid port %q in %q: want 1 to 65535", digits, s)
	}
	return host, int(n), nil
}

// isNoHost reports whether r is no part of a host's name. A slash would make go-mail take
// the host for the path of a socket.
func isNoHost(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`/@<>"\`, r) }

// validHello reports whether s may follow EHLO: a host name or an address literal, which is
// more than RFC 5321 allows and less than could harm.
func validHello(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' ||
			strings.ContainsRune("-_.:[]", r))
	})
}
