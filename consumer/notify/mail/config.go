package mail

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"supernats/consumer/notify/mail/letter"
	"supernats/schema"
	"supernats/schema/secretfile"
)

// The values of the key tls.
const (
	TLSImplicit = "implicit"
	TLSStartTLS = "starttls"
	TLSNone     = "none"
)

const (
	// DefaultTimeout is how long one delivery may take, from the first packet to
	// the last.
	DefaultTimeout = schema.Duration(10 * time.Second)
	// implicitPort is the one on which TLS starts with the first byte (RFC 8314).
	implicitPort = 465
	// maxAddress is RFC 5321's limit of a path, without the angle brackets.
	maxAddress = 254
)

// Config is the section mail of the configuration, and mail of a receiver.
//
// With a username the best mechanism that the server offers is used: SCRAM,
// CRAM-MD5, PLAIN, LOGIN, and the next one if the server refuses the login by it;
// with an access token XOAUTH2 or OAUTHBEARER. PLAIN, LOGIN and tokens show the
// secret to everybody on the way, so without TLS (tls: none) they are used with a
// server on this machine only (localhost, 127.0.0.0/8, ::1).
type Config struct {
	// Smarthost is the mail server, host:port. With TLS its certificate must be
	// valid for exactly that host.
	Smarthost string `yaml:"smarthost"`
	// TLS is implicit, starttls or none. If empty it follows the port: 465 is
	// implicit, any other starttls. starttls is never done without if the server
	// does not offer it.
	TLS  string   `yaml:"tls"`
	From string   `yaml:"from"`
	To   []string `yaml:"to"`

	Username string            `yaml:"username"`
	Password secretfile.Secret `yaml:"password"`
	// PasswordFile and CAFile are read at every delivery: a new password or
	// certificate needs no restart. White space around the password is cut off. A
	// server that takes access tokens only gets it as one.
	PasswordFile string `yaml:"password_file"`
	// TokenFile holds an access token of OAuth 2.0, which something else renews;
	// TokenCommand is a program with its arguments that prints one. It is run at
	// every delivery, without a shell, and takes part of Timeout.
	TokenFile    string   `yaml:"token_file"`
	TokenCommand []string `yaml:"token_command"`
	// Auth is the one mechanism to log in by, in place of those that the server
	// offers, one after the other: scram-sha-256, cram-md5, plain, login, xoauth2 …
	Auth string `yaml:"auth"`
	// CAFile holds PEM certificates of the authorities to trust, in place of the
	// system's.
	CAFile string `yaml:"ca_file"`
	// Hello is the name given in EHLO; by default that of the instance.
	Hello string `yaml:"hello"`
	// Timeout bounds one delivery as a whole.
	Timeout schema.Duration `yaml:"timeout"`

	// Location is the zone of the times in a mail: a name of the zone database
	// ("Europe/Vienna"), "Local" for that of this machine, by default UTC.
	Location string `yaml:"location"`

	// Subject, Text and HTML are templates over Data that stand in for the
	// built-in ones, Subject and Text in the language of text/template, HTML in
	// that of html/template. What is not given is supernats' own: who gives a Text
	// wants an HTML as well, since that is what most programs show.
	Subject string `yaml:"subject"`
	Text    string `yaml:"text"`
	HTML    string `yaml:"html"`
}

// WithDefaults fills in what has a fixed default. Decode into
// Config{}.WithDefaults(), so that a timeout of 0 that somebody wrote is seen
// by Validate. TLS stays empty: it depends on the port.
func (c Config) WithDefaults() Config {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	return c
}

// Validate reports everything that is wrong, a line for each key. It opens no
// files; New does.
func (c Config) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if _, _, err := splitSmarthost(c.Smarthost); err != nil {
		errs = append(errs, err)
	}
	switch c.TLS {
	case "", TLSImplicit, TLSStartTLS, TLSNone:
	default:
		wrong("tls: invalid value %q: want %s, %s or %s", c.TLS, TLSImplicit, TLSStartTLS, TLSNone)
	}
	if c.From == "" {
		wrong("from: missing; give the sender's address, for example supervisor@example.com")
	} else if _, err := parseAddress("from", c.From); err != nil {
		errs = append(errs, err)
	}
	if len(c.To) == 0 {
		wrong("to: missing; give at least one address, for example [ops@example.com]")
	}
	seen := make(map[string]bool, len(c.To))
	for i, to := range c.To {
		address, err := parseAddress(fmt.Sprintf("to[%d]", i), to)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		// Every recipient has a queue under its address, so one may be there once.
		if key := strings.ToLower(address.Address); seen[key] {
			wrong("to[%d]: duplicate address %s", i, address.Address)
		} else {
			seen[key] = true
		}
	}
	errs = append(errs, c.checkCredentials()...)
	switch {
	case hasControl(c.Username):
		wrong("username: %q holds control characters", c.Username)
	case strings.TrimSpace(c.Username) != c.Username:
		wrong("username: %q begins or ends with white space", c.Username)
	}
	if c.Hello != "" && !validHello(c.Hello) {
		wrong("hello: invalid value %q: want a name like mon1.example.com or an address like [192.0.2.1]", c.Hello)
	}
	if c.Timeout <= 0 {
		wrong("timeout: invalid value %s: want a duration above zero; the default is %s", c.Timeout, DefaultTimeout)
	}
	if _, err := c.location(); err != nil {
		errs = append(errs, err)
	}
	if t, err := letter.Parse(c.Subject, c.Text, c.HTML); err != nil {
		errs = append(errs, err)
	} else {
		errs = append(errs, t.Check()...)
	}
	return errors.Join(errs...)
}

// checkCredentials reports what is wrong with the keys of the login.
func (c Config) checkCredentials() []error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	var given []string
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
			given = append(given, k.name)
		}
	}
	switch {
	case len(given) > 1:
		wrong("%s: given together with %s: want one of the two", given[0], given[1])
	case c.Username == "" && c.PasswordFile != "":
		wrong("username: missing, but there is a password_file (%s)", c.PasswordFile)
	case c.Username == "" && len(given) > 0:
		wrong("username: missing, but there is a %s", given[0])
	case c.Username != "" && len(given) == 0:
		wrong("password_file: missing, but there is a username (%q)", c.Username)
	}
	if len(c.TokenCommand) > 0 && c.TokenCommand[0] == "" {
		wrong("token_command: begins with an empty name; want a program and its arguments, for example [/usr/local/bin/token, ops@example.com]")
	}

	if c.Auth == "" {
		return errs
	}
	token := c.TokenFile != "" || len(c.TokenCommand) > 0
	chosen := gomail.SMTPAuthType(strings.ToUpper(c.Auth))
	switch {
	case !slices.Contains(allMechanisms(), strings.ToLower(c.Auth)):
		wrong("auth: invalid value %q: want one of %s, or nothing for what the server offers", c.Auth, strings.Join(allMechanisms(), ", "))
	case token && !slices.Contains(tokens, chosen):
		wrong("auth: %s takes a password, but there is a token; want xoauth2 or oauthbearer", c.Auth)
	case len(given) == 0 && c.Username == "":
		wrong("username: missing, but there is an auth (%s)", c.Auth)
	case c.TLS == TLSNone && !slices.Contains(hashed, chosen):
		if host, _, err := splitSmarthost(c.Smarthost); err == nil && !isLoopback(host) {
			wrong("auth: %s shows the secret to everybody on the way; want TLS, or one of scram-sha-256, scram-sha-1, cram-md5", c.Auth)
		}
	}
	return errs
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

func splitSmarthost(s string) (host string, port int, err error) {
	const wanted = "want host:port, for example smtp.example.com:465"
	if s == "" {
		return "", 0, errors.New("smarthost: missing; " + wanted)
	}
	host, digits, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, fmt.Errorf("smarthost: invalid value %q: %s", s, wanted)
	}
	// A slash would make go-mail take the host for the path of a socket.
	if host == "" || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`/@<>"\`, r) }) {
		return "", 0, fmt.Errorf("smarthost: no host name in %q: %s", s, wanted)
	}
	if _, err := asciiDomain(host); err != nil {
		return "", 0, fmt.Errorf("smarthost: %w; %s", err, wanted)
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("smarthost: invalid port %[2]q in %[1]q: want 1 to 65535", s, digits)
	}
	return host, int(n), nil
}

// validHello reports whether s may stand behind EHLO: a host name or an address
// literal, which is more than RFC 5321 allows and less than could harm.
func validHello(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.:[]", r))
	})
}

// location is the zone of a mail's times.
func (c Config) location() (*time.Location, error) {
	l, err := time.LoadLocation(c.Location)
	if err != nil {
		return nil, fmt.Errorf("location: invalid zone %q: want one like Europe/Vienna, UTC or Local", c.Location)
	}
	return l, nil
}
