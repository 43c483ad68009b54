package mail

import (
	"time"

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
	// DefaultTimeout is how long one delivery may take, from the first packet to the last.
	DefaultTimeout = schema.Duration(10 * time.Second)
	// implicitPort is the one on which TLS starts with the first byte (RFC 8314).
	implicitPort = 465
)

// Config is the section mail of the configuration, and mail of a receiver.
//
// With a username the login goes by the best mechanism that the server offers: SCRAM,
// CRAM-MD5, PLAIN, LOGIN, and the next one if the server refuses it; with an access token by
// XOAUTH2 or OAUTHBEARER. PLAIN, LOGIN and tokens show the secret to everybody on the way,
// so without TLS (tls: none) they are for a server on this machine only (localhost,
// 127.0.0.0/8, ::1).
type Config struct {
	// Smarthost is the mail server, host:port. With TLS its certificate must be valid for
	// exactly that host.
	Smarthost string `yaml:"smarthost"`
	// TLS is implicit, starttls or none. If empty it follows the port: 465 is implicit, any
	// other starttls. With starttls nothing is sent to a server that does not offer it.
	TLS  string   `yaml:"tls"`
	From string   `yaml:"from"`
	To   []string `yaml:"to"`

	Username string            `yaml:"username"`
	Password secretfile.Secret `yaml:"password"`
	// PasswordFile and CAFile are read at every delivery: a new password or certificate
	// needs no restart. White space around the password is cut off. A server that takes
	// access tokens only gets it as one.
	PasswordFile string `yaml:"password_file"`
	// TokenFile holds an access token of OAuth 2.0, which something else renews;
	// TokenCommand is a program with its arguments that prints one. It runs at every
	// delivery, without a shell, and takes part of Timeout.
	TokenFile    string   `yaml:"token_file"`
	TokenCommand []string `yaml:"token_command"`
	// Auth is the one mechanism to log in by, in place of those that the server offers, one
	// after the other: scram-sha-256, cram-md5, plain, login, xoauth2 …
	Auth string `yaml:"auth"`
	// CAFile holds PEM certificates of the authorities to trust, in place of the system's.
	CAFile string `yaml:"ca_file"`
	// Hello is the name given in EHLO; by default that of the instance.
	Hello string `yaml:"hello"`
	// Timeout bounds one delivery as a whole.
	Timeout schema.Duration `yaml:"timeout"`

	// Location is the zone of the times in a mail: a name of the zone database
	// ("Europe/Vienna"), "Local" for that of this machine, by default UTC.
	Location string `yaml:"location"`

	// Subject, Text and HTML are templates over letter.Data in place of the built-in ones,
	// Subject and Text in the language of text/template, HTML in that of html/template.
	// What is empty is supernats' own: with a Text give an HTML as well, since that is what
	// most programs show.
	Subject string `yaml:"subject"`
	Text    string `yaml:"text"`
	HTML    string `yaml:"html"`
}

// WithDefaults fills in what has a fixed default. Decode into Config{}.WithDefaults(), so
// that Validate sees a timeout of 0 that somebody wrote. TLS stays empty: it depends on the
// port.
func (c Config) WithDefaults() Config {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	return c
}
