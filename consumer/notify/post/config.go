package post

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	neturl "net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"supernats/schema"
	"supernats/schema/secretfile"
)

// DefaultTimeout is how long one request may take, from the first packet to the status of
// the answer.
const DefaultTimeout = schema.Duration(10 * time.Second)

// HTTPConfig are the settings that every receiver by HTTP has. A proxy comes from
// HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
type HTTPConfig struct {
	// Timeout bounds one request.
	Timeout schema.Duration `yaml:"timeout"`
	TLS     TLSConfig       `yaml:"tls"`
}

// TLSConfig names PEM files. They are read at every delivery: a new certificate needs no
// restart.
type TLSConfig struct {
	// CA are the authorities to trust, in place of the system's.
	CA string `yaml:"ca"`
	// Cert and Key are ours, for servers that ask for a certificate.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// BasicAuth are the credentials of HTTP's basic authentication.
type BasicAuth struct {
	Username string            `yaml:"username"`
	Password secretfile.Secret `yaml:"password"`
	// PasswordFile is read at every delivery.
	PasswordFile string `yaml:"password_file"`
}

// AuthConfig are the credentials for receivers that can be any server.
type AuthConfig struct {
	BasicAuth BasicAuth `yaml:"basic_auth"`
	// BearerTokenFile holds a token for the header Authorization; it is read at
	// every delivery.
	BearerTokenFile string `yaml:"bearer_token_file"`
	// Headers are sent with every request. Their values are secrets.
	Headers map[string]secretfile.Secret `yaml:"headers"`
}

// WithDefaults fills in the time limit.
func (c HTTPConfig) WithDefaults() HTTPConfig {
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	return c
}

// Validate reports everything that is wrong, a line for each key.
func (c HTTPConfig) Validate() error {
	var errs []error
	if c.Timeout <= 0 {
		errs = append(errs, fmt.Errorf(
			"timeout: invalid value %s: want a duration above zero; the default is %s", c.Timeout, DefaultTimeout))
	}
	if c.TLS.Cert != "" && c.TLS.Key == "" {
		errs = append(errs, fmt.Errorf("tls.key: missing, but there is a tls.cert (%s)", c.TLS.Cert))
	}
	if c.TLS.Key != "" && c.TLS.Cert == "" {
		errs = append(errs, fmt.Errorf("tls.cert: missing, but there is a tls.key (%s)", c.TLS.Key))
	}
	return errors.Join(errs...)
}

// Load reads the files.
func (c TLSConfig) Load() (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		b, err := readFile("tls.ca", c.CA)
		if err != nil {
			return nil, err
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("tls.ca: %s holds no certificate in PEM", c.CA)
		}
	}

	if c.Cert != "" {
		pair, err := c.loadPair()
		if err != nil {
			return nil, err
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// loadPair reads our certificate and its key.
func (c TLSConfig) loadPair() (tls.Certificate, error) {
	cert, err := readFile("tls.cert", c.Cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := readFile("tls.key", c.Key)
	if err != nil {
		return tls.Certificate{}, err
	}

	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tls.cert: %s with %s: %w", c.Cert, c.Key, err)
	}
	return pair, nil
}

// Validate reports everything that is wrong, a line for each key.
func (c AuthConfig) Validate() error {
	var errs []error
	b := c.BasicAuth
	switch {
	case b.Password != "" && b.PasswordFile != "":
		errs = append(errs, errors.New("basic_auth.password: given together with password_file: want one of the two"))
	case b.Username == "" && (b.Password != "" || b.PasswordFile != ""):
		errs = append(errs, errors.New("basic_auth.username: missing, but there is a password"))
	case strings.Contains(b.Username, ":"):
		errs = append(errs, fmt.Errorf("basic_auth.username: %q holds a colon, which ends the name", b.Username))
	}
	if b.Username != "" && c.BearerTokenFile != "" {
		errs = append(errs, errors.New("bearer_token_file: given together with basic_auth: want one of the two"))
	}

	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		errs = append(errs, c.validateHeader(name, string(c.Headers[name]))...)
	}
	return errors.Join(errs...)
}

// validateHeader reports what is wrong with one of the headers.
func (c AuthConfig) validateHeader(name, value string) (errs []error) {
	if !isToken(name) || strings.ContainsFunc(value, unicode.IsControl) {
		errs = append(errs, fmt.Errorf(
			"headers: invalid header %q: want letters, digits and -, and no control characters in the value", name))
	}
	switch strings.ToLower(name) {
	case "content-type", "content-length", "transfer-encoding", "host":
		errs = append(errs, fmt.Errorf("headers: %q is set by the delivery itself", name))
	case "authorization":
		if c.BasicAuth.Username != "" || c.BearerTokenFile != "" {
			errs = append(errs, errors.New(
				"headers: \"Authorization\" is given together with basic_auth or bearer_token_file: want one of them"))
		}
	}
	return errs
}

// Apply reads the files and adds what they hold to a request.
func (c AuthConfig) Apply(p *Request) error {
	p.AuthKey = "basic_auth, bearer_token_file or headers"
	for name, value := range c.Headers {
		p.SetHeader(name, string(value))
		p.Secrets = append(p.Secrets, string(value))
	}

	switch {
	case c.BasicAuth.Username != "":
		p.AuthKey = "basic_auth"
		password, err := c.BasicAuth.Password.Reveal("basic_auth.password", c.BasicAuth.PasswordFile)
		if err != nil {
			return err
		}
		p.SetBasicAuth(c.BasicAuth.Username, password)
	case c.BearerTokenFile != "":
		p.AuthKey = "bearer_token_file"
		token, err := secretfile.Secret("").Reveal("bearer_token", c.BearerTokenFile)
		if err != nil {
			return err
		}
		p.SetBearer(token)
	}
	return nil
}

// ValidateURL checks a URL. The error never shows it: it may be a secret.
func ValidateURL(key, raw string) error {
	u, err := neturl.Parse(raw)
	switch {
	case err != nil || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || unicode.IsControl(r) }):
		return fmt.Errorf("%s: invalid URL: want https://host/path", key)
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%s: invalid URL: want https:// or http:// at its beginning", key)
	case u.Hostname() == "":
		return fmt.Errorf("%s: invalid URL without a host: want https://host/path", key)
	}
	return nil
}

// isToken reports whether s can be the name of a header.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

// readFile reads a file that a key of the configuration names.
func readFile(key, name string) ([]byte, error) {
	b, err := secretfile.Bytes(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return b, nil
}
