// Package natsconn holds the settings of a connection to NATS that all programs of
// supernats share, and connects with them.
//
// A connection never gives up: it is made as soon as a server comes, and made again for
// ever. While it is down nothing is buffered and publishing fails at once: the caller
// keeps what must not be lost.
//
// Files with credentials are read again at each attempt, except for the file of an nkey
// and that of a context of the CLI, which nats.go reads once. If a server refuses the same
// credentials twice, and after a few errors of the protocol, nats.go closes the connection.
// A program that runs for long watches for that and calls Connect again, which reads every
// file again; others use Options.IgnoreAuthErrorAbort.
package natsconn

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	neturl "net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/synadia-io/orbit.go/natscontext"

	"supernats/schema/secretfile"
)

// DefaultURL is where a server is looked for if nothing else is said.
const DefaultURL = nats.DefaultURL

// Variables that hold a secret itself, in place of the flag that names a file.
const (
	EnvPassword = "SUPERNATS_NATS_PASSWORD"
	EnvToken    = "SUPERNATS_NATS_TOKEN"
)

// Settings say where a server is, and what to log in with. Secrets come from files or
// variables only. The tags are those of kong (flags, see HelpTexts) and of YAML.
type Settings struct {
	URL          string `name:"nats-url" placeholder:"URL" help:"NATS servers, comma separated." yaml:"url"`
	Context      string `name:"nats-context" placeholder:"NAME" help:"${nats_context_help}" yaml:"context"`
	CredsFile    string `name:"nats-creds" placeholder:"FILE" help:"${nats_creds_help}" yaml:"creds_file"`
	NkeyFile     string `name:"nats-nkey" placeholder:"FILE" help:"File with an nkey seed." yaml:"nkey_file"`
	User         string `name:"nats-user" placeholder:"NAME" help:"User name." yaml:"user"`
	PasswordFile string `name:"nats-password-file" placeholder:"FILE" help:"${nats_password_help}" yaml:"password_file"`
	TokenFile    string `name:"nats-token-file" placeholder:"FILE" help:"${nats_token_help}" yaml:"token_file"`
	Domain       string `name:"nats-domain" placeholder:"NAME" help:"${nats_domain_help}" yaml:"domain"`
	APIPrefix    string `name:"nats-api-prefix" placeholder:"SUBJECT" help:"${nats_api_help}" yaml:"api_prefix"`
	TLS          TLS    `embed:"" prefix:"nats-tls-" yaml:"tls"`
}

// TLS names PEM files.
type TLS struct {
	CA   string `name:"ca" placeholder:"FILE" help:"Certificate authority of the NATS server." yaml:"ca"`
	Cert string `name:"cert" placeholder:"FILE" help:"Our certificate." yaml:"cert"`
	Key  string `name:"key" placeholder:"FILE" help:"The key of our certificate." yaml:"key"`
	// First need not be set if the URL or the other settings ask for TLS: a server that
	// expects the handshake first is recognised.
	First bool `name:"first" help:"${nats_first_help}" yaml:"first"`
}

// HelpTexts are the variables in the help of the flags of Settings.
func HelpTexts() map[string]string {
	return map[string]string{
		"nats_context_help":  "A context of the nats CLI, by name.",
		"nats_creds_help":    "Credentials file (JWT and seed).",
		"nats_password_help": "File with the user's password (or " + EnvPassword + " holds it).",
		"nats_token_help":    "File with a token (or " + EnvToken + " holds it).",
		"nats_domain_help":   "JetStream domain of the streams, if it is not that of the server.",
		"nats_api_help":      "Prefix of the JetStream API, where another account exports it.",
		"nats_first_help":    "The TLS handshake comes before anything else, without waiting for the server to say so.",
	}
}

// With returns the settings with those of other in their place, as far as they are set.
// Another server, or another way to log in, replaces ours as a whole.
func (s Settings) With(other Settings) Settings {
	if other.URL != "" || other.Context != "" {
		s.URL = other.URL
		s.Context = other.Context
	}
	if other.URL != "" || other.Context != "" || other.Domain != "" || other.APIPrefix != "" {
		s.Domain = other.Domain
		s.APIPrefix = other.APIPrefix
	}

	if other.CredsFile != "" || other.NkeyFile != "" || other.User != "" || other.TokenFile != "" {
		s.CredsFile = other.CredsFile
		s.NkeyFile = other.NkeyFile
		s.TokenFile = other.TokenFile
		s.User = other.User
		s.PasswordFile = other.PasswordFile
	} else if other.PasswordFile != "" {
		s.PasswordFile = other.PasswordFile
	}

	if other.TLS.CA != "" {
		s.TLS.CA = other.TLS.CA
	}
	if other.TLS.Cert != "" || other.TLS.Key != "" {
		s.TLS.Cert = other.TLS.Cert
		s.TLS.Key = other.TLS.Key
	}
	s.TLS.First = s.TLS.First || other.TLS.First
	return s
}

// LogsIn reports whether the settings have something to log in with.
func (s Settings) LogsIn() bool {
	return s.CredsFile != "" || s.NkeyFile != "" || s.User != "" || s.TokenFile != "" || os.Getenv(EnvToken) != ""
}

// Check reports settings that contradict each other.
func (s Settings) Check() error {
	var ways []string
	for _, w := range []struct{ name, value string }{
		{"creds", s.CredsFile}, {"nkey", s.NkeyFile}, {"user", s.User}, {"token-file", s.TokenFile},
	} {
		if w.value != "" {
			ways = append(ways, w.name)
		}
	}

	switch {
	case len(ways) > 1:
		return fmt.Errorf("nats: %s are set: want one of creds, nkey, user, token-file", strings.Join(ways, " and "))
	case s.PasswordFile != "" && s.User == "":
		return errors.New("nats: a password file is set without a user")
	case (s.TLS.Cert == "") != (s.TLS.Key == ""):
		return errors.New("nats: a TLS certificate or its key is missing: want both")
	case s.Context != "" && s.URL != "":
		return fmt.Errorf("nats: url %s and context %s are set: want one of them", withoutSecrets(s.URL), s.Context)
	}
	return s.checkPlace()
}

// Connect returns a connection at once, before a server has answered: one that cannot be
// reached is no error. name is what the server shows of us; more options win over ours.
//
// Errors are about the settings, a *FileError about a file that cannot be used. They hold
// no secrets.
func (s Settings) Connect(name string, more ...nats.Option) (*nats.Conn, error) {
	opts, err := s.options()
	if err != nil {
		return nil, err
	}
	opts = append(opts,
		nats.Name(name),
		nats.MaxReconnects(-1),
		nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(500*time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, time.Second),
		// What is buffered during an outage would be sent before anything that
		// is sent again, out of order.
		nats.ReconnectBufSize(-1),
		nats.Timeout(5*time.Second),
		nats.PingInterval(20*time.Second),
	)
	opts = append(opts, more...)

	if s.Context != "" {
		nc, err := connectContext(s.Context, opts)
		if err != nil {
			return nil, fmt.Errorf("connect with the nats context %q: %w", s.Context, err)
		}
		return nc, nil
	}
	return connectURL(cmp.Or(s.URL, DefaultURL), opts)
}

// connectContext connects with a context of the nats CLI.
func connectContext(name string, opts []nats.Option) (*nats.Conn, error) {
	c, err := readContext(name)
	if err != nil {
		return nil, err
	}
	nc, _, err := natscontext.Connect(name, append(opts, findTLSFirst(c.URL))...)
	return nc, err
}

func connectURL(url string, opts []nats.Option) (*nats.Conn, error) {
	nc, err := nats.Connect(url, append(opts, findTLSFirst(url))...)
	if err == nil {
		return nc, nil
	}

	if malformed := new(neturl.Error); errors.As(err, &malformed) {
		err = malformed.Err // it quotes the URL, with the password in it
	}
	return nil, fmt.Errorf("connect to %s: %w", withoutSecrets(url), err)
}

func (s Settings) options() ([]nats.Option, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	opts, err := s.credentials()
	if err != nil {
		return nil, err
	}

	if s.TLS.CA != "" {
		if err := checkCA(s.TLS.CA); err != nil {
			return nil, &FileError{"nats-tls-ca", s.TLS.CA, err}
		}
		opts = append(opts, nats.RootCAs(s.TLS.CA))
	}
	if s.TLS.Cert != "" {
		if _, err := os.ReadFile(s.TLS.Key); err != nil {
			return nil, &FileError{"nats-tls-key", s.TLS.Key, err}
		}
		if _, err := tls.LoadX509KeyPair(s.TLS.Cert, s.TLS.Key); err != nil {
			err = fmt.Errorf("with --nats-tls-key %s: %w", s.TLS.Key, err)
			return nil, &FileError{"nats-tls-cert", s.TLS.Cert, err}
		}
		opts = append(opts, nats.ClientCert(s.TLS.Cert, s.TLS.Key))
	}

	if s.TLS.First {
		opts = append(opts, nats.TLSHandshakeFirst())
	}
	return opts, nil
}

// credentials returns what to log in with.
func (s Settings) credentials() ([]nats.Option, error) {
	switch {
	case s.CredsFile != "":
		if err := checkCreds(s.CredsFile); err != nil {
			return nil, &FileError{"nats-creds", s.CredsFile, err}
		}
		return []nats.Option{nats.UserCredentials(s.CredsFile)}, nil

	case s.NkeyFile != "":
		opt, err := nkeyOption(s.NkeyFile)
		if err != nil {
			return nil, &FileError{"nats-nkey", s.NkeyFile, err}
		}
		return []nats.Option{opt}, nil

	case s.User != "":
		password, err := readSecret(s.PasswordFile, EnvPassword)
		if err != nil {
			return nil, &FileError{"nats-password-file", s.PasswordFile, err}
		}
		if s.mayLogInElsewhere() {
			return []nats.Option{nats.UserInfo(s.User, password)}, nil
		}
		return []nats.Option{nats.UserInfoHandler(func() (string, string) {
			password = rereadSecret(s.PasswordFile, EnvPassword, password)
			return s.User, password
		})}, nil

	case s.TokenFile != "" || os.Getenv(EnvToken) != "":
		token, err := readSecret(s.TokenFile, EnvToken)
		if err != nil {
			return nil, &FileError{"nats-token-file", s.TokenFile, err}
		}
		if s.mayLogInElsewhere() {
			return []nats.Option{nats.Token(token)}, nil
		}
		return []nats.Option{nats.TokenHandler(func() string {
			token = rereadSecret(s.TokenFile, EnvToken, token)
			return token
		})}, nil
	}
	return nil, nil
}

// mayLogInElsewhere reports whether a context or a URL may hold credentials too. Those of
// the settings win, but not as a function: nats.go refuses to have both.
func (s Settings) mayLogInElsewhere() bool { return s.Context != "" || userinfo.MatchString(s.URL) }

// FileError is an error of a file that a setting names.
type FileError struct {
	Flag, File string
	Err        error
}

func (e *FileError) Error() string {
	err := e.Err
	var path *fs.PathError
	if errors.As(err, &path) && path.Path == e.File {
		err = path.Err // the name is printed once
	}
	return fmt.Sprintf("--%s %s: %v", e.Flag, e.File, err)
}

func (e *FileError) Unwrap() error { return e.Err }

// checkCreds reports a malformed file at once: nats.go reads it only while it connects, and
// would try again for ever.
func checkCreds(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	kp, err := nkeys.ParseDecoratedUserNKey(b)
	if err != nil {
		return fmt.Errorf("%w: want a JWT and a seed, as nsc writes them", err)
	}
	kp.Wipe()

	if jwt, err := nkeys.ParseDecoratedJWT(b); err != nil || strings.Count(jwt, ".") != 2 {
		return errors.New("no JWT found: want a JWT and a seed, as nsc writes them")
	}
	return nil
}

func checkCA(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !x509.NewCertPool().AppendCertsFromPEM(b) {
		return errors.New("no certificate found: want a PEM file")
	}
	return nil
}

// readSecret reads a file, or else a variable. What tools leave around a secret is cut off:
// secrets of Kubernetes often end with a line end, in a variable too. Spaces around one in
// a variable belong to it.
func readSecret(file, variable string) (string, error) {
	if file == "" {
		return strings.Trim(os.Getenv(variable), "\r\n\ufeff"), nil
	}

	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	text, err := secretfile.Clean(string(b))
	if err != nil {
		return "", fmt.Errorf("file %w", err)
	}
	return text, nil
}

// rereadSecret reads a secret for another attempt to connect; nats.go makes one at a time.
// While a file is being replaced it may be missing: then the secret stays what it was.
func rereadSecret(file, variable, before string) string {
	text, err := readSecret(file, variable)
	if err != nil {
		return before
	}
	return text
}

// userinfo is the user and password in a URL.
var userinfo = regexp.MustCompile(`(^|,|://)[^,/]*@`)

// withoutSecrets makes a list of URLs safe for a log.
func withoutSecrets(urls string) string { return userinfo.ReplaceAllString(urls, "${1}***@") }
