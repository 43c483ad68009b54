package embedded

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"strings"

	"github.com/nats-io/nats-server/v2/server"

	"supernats/schema"
	"supernats/schema/natsconn"
)

// Config is the section embedded of the configuration file.
type Config struct {
	Listen string `yaml:"listen"`
	// MaxStore bounds the stream of events; alerts and states take up to a
	// quarter of it more.
	MaxStore schema.Size `yaml:"max_store"`
	// Config is a file in nats-server's own form: users, TLS, limits. What it does not
	// say is as it is without it.
	Config string `yaml:"config"`
	// Account is the one of several in that file that has the streams.
	Account string `yaml:"account"`
	// Insecure lets a server without users listen where others reach it.
	Insecure bool `yaml:"insecure"`
}

// Settings are all that the server takes from the configuration file.
type Settings struct {
	Section Config
	// DataDir is where it stores, in the directory nats.
	DataDir string
	// Login is the login of the daemon in the section nats; zero: by a key that never
	// leaves the process.
	Login natsconn.Settings
	// StreamBytes is what the streams and buckets reserve on disk.
	StreamBytes int64
}

// CheckConfig returns what is wrong with the file in nats-server's own form. It is nil
// for a file that this user may not read: commands often run as another user than the daemon.
func (s Settings) CheckConfig() error {
	user, err := newInProcessUser()
	if err == nil {
		_, _, err = s.options(user)
	}
	if err == nil || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	text := strings.TrimPrefix(err.Error(), "embedded.config: ")
	return errors.New(strings.TrimPrefix(text, "embedded.config "))
}

// Warnings are what is not as it was written, but works: "what; how to fix it".
func (s Settings) Warnings() []string {
	user, err := newInProcessUser()
	if err != nil {
		return nil
	}
	if _, kept, err := s.options(user); err == nil && kept != "" {
		return []string{fmt.Sprintf("%s, and not on %s; %s", keptLocal, kept, keptLocalFix)}
	}
	return nil
}

// parseFile reads the file in nats-server's own form.
func (cfg Config) parseFile() (*server.Options, error) {
	o, err := server.ProcessConfigFile(cfg.Config)
	if err != nil {
		if !strings.Contains(err.Error(), cfg.Config) {
			err = fmt.Errorf("%s: %w", cfg.Config, err)
		}
		return nil, fmt.Errorf("embedded.config: %w", trimmed{err})
	}
	return o, nil
}

// trimmed is an error of nats-server, which ends each of its lines.
type trimmed struct{ err error }

func (e trimmed) Error() string { return strings.TrimSpace(e.err.Error()) }
func (e trimmed) Unwrap() error { return e.err }

// Address returns where programs on this machine reach the server.
func (cfg Config) Address() string {
	scheme := "nats"
	host, port, err := splitListen(cfg.Listen)
	if err != nil {
		return scheme + "://" + cfg.Listen // CheckConfig reports what is wrong
	}

	o := &server.Options{}
	if cfg.Config != "" {
		if parsed, err := cfg.parseFile(); err == nil {
			o = parsed
		}
	}
	if o.TLSConfig != nil {
		scheme = "tls"
	}
	if o.Host != "" || o.Port != 0 {
		host, port = o.Host, cmp.Or(o.Port, server.DEFAULT_PORT)
	}

	o.Host, o.Port = host, port
	ip := net.ParseIP(host)
	if host == "" || ip != nil && ip.IsUnspecified() || cfg.refusedAddress(o) != "" {
		host = loopback
	}
	return scheme + "://" + net.JoinHostPort(host, portText(port))
}

func splitListen(listen string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, fmt.Errorf("%q: %w", listen, err)
	}
	if port, err = strconv.Atoi(text); err != nil {
		return "", 0, fmt.Errorf("%q: invalid port %q: want a number", listen, text)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

func portText(port int) string {
	return strconv.Itoa(max(0, port))
}
