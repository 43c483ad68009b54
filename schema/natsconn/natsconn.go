// Package natsconn holds the settings of a connection to NATS that all programs
// of supernats share, and connects with them. A connection never gives up: it
// connects when a server comes, and reconnects for ever. Nothing is buffered
// while it is down, publishing fails at once instead; what must not be lost
// waits with its owner.
//
// Files of credentials are read again at each attempt, but for those of an nkey and
// of a context of the CLI, which nats.go wants to know once. A server that refuses
// the same credentials twice, and a few errors of the protocol, make nats.go close
// the connection: a program that runs for long watches for that and calls Connect
// again, which reads every file again. Options.IgnoreAuthErrorAbort is for those
// that do not.
package natsconn

import (
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

// Settings say where a server is and who we are. Secrets only come from files
// or variables. The tags are those of kong (flags) and of YAML.
type Settings struct {
	URL          string `name:"nats-url" placeholder:"URL" help:"NATS servers, comma separated." yaml:"url"`
	Context      string `name:"nats-context" placeholder:"NAME" help:"A context of the nats CLI, by name." yaml:"context"`
	CredsFile    string `name:"nats-creds" placeholder:"FILE" help:"Credentials file (JWT and seed)." yaml:"creds_file"`
	NkeyFile     string `name:"nats-nkey" placeholder:"FILE" help:"File with an nkey seed." yaml:"nkey_file"`
	User         string `name:"nats-user" placeholder:"NAME" help:"User name." yaml:"user"`
	PasswordFile string `name:"nats-password-file" placeholder:"FILE" help:"File with the user's password (or SUPERNATS_NATS_PASSWORD holds it)." yaml:"password_file"`
	TokenFile    string `name:"nats-token-file" placeholder:"FILE" help:"File with a token (or SUPERNATS_NATS_TOKEN holds it)." yaml:"token_file"`
	Domain       string `name:"nats-domain" placeholder:"NAME" help:"JetStream domain of the streams, if it is not that of the server." yaml:"domain"`
	APIPrefix    string `name:"nats-api-prefix" placeholder:"SUBJECT" help:"Prefix of the JetStream API, where another account exports it." yaml:"api_prefix"`
	TLS          TLS    `embed:"" prefix:"nats-tls-" yaml:"tls"`
}

// TLS names PEM files.
type TLS struct {
	CA   string `name:"ca" placeholder:"FILE" help:"Certificate authority of the NATS server." yaml:"ca"`
	Cert string `name:"cert" placeholder:"FILE" help:"Our certificate." yaml:"cert"`
	Key  string `name:"key" placeholder:"FILE" help:"The key of our certificate." yaml:"key"`
	// First says what is found out by itself where TLS is asked for at all.
	First bool `name:"first" help:"The TLS handshake comes before anything else, without waiting for the server to say so." yaml:"first"`
}

// With returns the settings with those of other that are set in place of ours.
// Another server, or another way to authenticate, replaces ours as a whole.
func (s Settings) With(other Settings) Settings {
	if other.URL != "" || other.Context != "" {
		s.URL, s.Context = other.URL, other.Context
		s.Domain, s.APIPrefix = other.Domain, other.APIPrefix
	} else if other.Domain != "" || other.APIPrefix != "" {
		s.Domain, s.APIPrefix = other.Domain, other.APIPrefix
	}
	if other.CredsFile != "" || other.NkeyFile != "" || other.User != "" || other.TokenFile != "" {
		s.CredsFile, s.NkeyFile, s.TokenFile = other.CredsFile, other.NkeyFile, other.TokenFile
		s.User, s.PasswordFile = other.User, other.PasswordFile
	} else if other.PasswordFile != "" {
		s.PasswordFile = other.PasswordFile
	}
	if other.TLS.CA != "" {
		s.TLS.CA = other.TLS.CA
	}
	if other.TLS.Cert != "" || other.TLS.Key != "" {
		s.TLS.Cert, s.TLS.Key = other.TLS.Cert, other.TLS.Key
	}
	s.TLS.First = s.TLS.First || other.TLS.First
	return s
}

// LogsIn reports whether the settings say who we are.
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
		return fmt.Errorf("nats: %s are set, allowed is one of creds, nkey, user, token-file", strings.Join(ways, " and "))
	case s.PasswordFile != "" && s.User == "":
		return errors.New("nats: a password file is set without a user")
	case (s.TLS.Cert == "") != (s.TLS.Key == ""):
		return errors.New("nats: a TLS certificate and its key go together, one of them is set")
	case s.Context != "" && s.URL != "":
		return fmt.Errorf("nats: url %s and context %s are set, allowed is one of them", withoutSecrets(s.URL), s.Context)
	}
	return s.checkPlace()
}

// Connect returns a connection that is being made: it may not be there yet. name
// is what the server shows of us; further options win. Errors are of the
// settings (a *FileError for a file that cannot be used) and tell no secrets; an
// unreachable server is none.
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
		c, err := readContext(s.Context)
		if err != nil {
			return nil, fmt.Errorf("connect with the nats context %q: %w", s.Context, err)
		}
		opts = append(opts, findTLSFirst(c.URL))
		nc, _, err := natscontext.Connect(s.Context, opts...)
		if err != nil {
			return nil, fmt.Errorf("connect with the nats context %q: %w", s.Context, err)
		}
		return nc, nil
	}
	url := s.URL
	if url == "" {
		url = DefaultURL
	}
	nc, err := nats.Connect(url, append(opts, findTLSFirst(url))...)
	if err != nil {
		if malformed := new(neturl.Error); errors.As(err, &malformed) {
			err = malformed.Err // it quotes the URL, with the password in it
		}
		return nil, fmt.Errorf("connect to %s: %w", withoutSecrets(url), err)
	}
	return nc, nil
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
			return nil, &FileError{"nats-tls-cert", s.TLS.Cert, fmt.Errorf("with --nats-tls-key %s: %w", s.TLS.Key, err)}
		}
		opts = append(opts, nats.ClientCert(s.TLS.Cert, s.TLS.Key))
	}
	if s.TLS.First {
		opts = append(opts, nats.TLSHandshakeFirst())
	}
	return opts, nil
}

// credentials say who we are.
func (s Settings) credentials() ([]nats.Option, error) {
	var opts []nats.Option
	switch {
	case s.CredsFile != "":
		if err := checkCreds(s.CredsFile); err != nil {
			return nil, &FileError{"nats-creds", s.CredsFile, err}
		}
		opts = append(opts, nats.UserCredentials(s.CredsFile))
	case s.NkeyFile != "":
		opt, err := nkeyOption(s.NkeyFile)
		if err != nil {
			return nil, &FileError{"nats-nkey", s.NkeyFile, err}
		}
		opts = append(opts, opt)
	case s.User != "":
		password, err := secret(s.PasswordFile, EnvPassword)
		if err != nil {
			return nil, &FileError{"nats-password-file", s.PasswordFile, err}
		}
		if s.isFixed() {
			return append(opts, nats.UserInfo(s.User, password)), nil
		}
		opts = append(opts, nats.UserInfoHandler(func() (string, string) {
			password = again(s.PasswordFile, EnvPassword, password)
			return s.User, password
		}))
	case s.TokenFile != "" || os.Getenv(EnvToken) != "":
		token, err := secret(s.TokenFile, EnvToken)
		if err != nil {
			return nil, &FileError{"nats-token-file", s.TokenFile, err}
		}
		if s.isFixed() {
			return append(opts, nats.Token(token)), nil
		}
		opts = append(opts, nats.TokenHandler(func() string {
			token = again(s.TokenFile, EnvToken, token)
			return token
		}))
	}
	return opts, nil
}

// isFixed reports that a context or a URL may say who we are too. What is set here
// wins as long as it is no function: nats.go refuses to have both.
func (s Settings) isFixed() bool { return s.Context != "" || userinfo.MatchString(s.URL) }

// FileError is an error of a file that a setting names.
type FileError struct {
	Flag, File string
	Err        error
}

func (e *FileError) Error() string {
	err := e.Err
	var path *fs.PathError
	if errors.As(err, &path) && path.Path == e.File {
		err = path.Err // the name once is enough
	}
	return fmt.Sprintf("--%s %s: %v", e.Flag, e.File, err)
}

func (e *FileError) Unwrap() error { return e.Err }

// checkCreds reports a file that nats.go would only look into, again and again,
// while it connects.
func checkCreds(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	kp, err := nkeys.ParseDecoratedUserNKey(b)
	if err != nil {
		return fmt.Errorf("%w; expected are a JWT and a seed, as nsc writes them", err)
	}
	kp.Wipe()
	if jwt, err := nkeys.ParseDecoratedJWT(b); err != nil || strings.Count(jwt, ".") != 2 {
		return errors.New("no JWT found; expected are a JWT and a seed, as nsc writes them")
	}
	return nil
}

func checkCA(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !x509.NewCertPool().AppendCertsFromPEM(b) {
		return errors.New("no certificate in PEM found")
	}
	return nil
}

// secret reads a file, or else a variable. What tools leave around a secret is cut
// off: secrets of Kubernetes often end with a line end, in a variable too. Spaces
// around one in a variable are its own.
func secret(file, variable string) (string, error) {
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

// again reads a secret for another attempt to connect, which nats.go makes one at a
// time. A file that is just being replaced may not be there: the secret is the one
// of before then.
func again(file, variable, before string) string {
	text, err := secret(file, variable)
	if err != nil {
		return before
	}
	return text
}

// userinfo is what a URL says of who we are.
var userinfo = regexp.MustCompile(`(^|,|://)[^,/]*@`)

// withoutSecrets makes a list of URLs fit for a log.
func withoutSecrets(urls string) string { return userinfo.ReplaceAllString(urls, "${1}***@") }
