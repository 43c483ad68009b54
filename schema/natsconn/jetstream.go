package natsconn

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// JetStream returns the JetStream that the settings, or the context that they name, choose:
// that of the server, or of another domain that the server leads to.
func (s Settings) JetStream(nc *nats.Conn, opts ...jetstream.JetStreamOpt) (jetstream.JetStream, error) {
	if s.Context != "" && s.Domain == "" && s.APIPrefix == "" {
		c, err := readContext(s.Context)
		if err != nil {
			return nil, fmt.Errorf("nats context %q: %w", s.Context, err)
		}
		s.Domain, s.APIPrefix = c.Domain, c.APIPrefix
	}

	var js jetstream.JetStream
	var err error
	switch {
	case s.APIPrefix != "":
		js, err = jetstream.NewWithAPIPrefix(nc, s.APIPrefix, opts...)
	case s.Domain != "":
		js, err = jetstream.NewWithDomain(nc, s.Domain, opts...)
	default:
		js, err = jetstream.New(nc, opts...)
	}
	if err != nil {
		return nil, fmt.Errorf("use JetStream: %w", err)
	}
	return js, nil
}

// cliContext is what a context of the nats CLI holds and package natscontext does not use.
type cliContext struct {
	URL       string `json:"url"`
	Domain    string `json:"jetstream_domain"`
	APIPrefix string `json:"jetstream_api_prefix"`
	// These credentials natscontext would ignore silently.
	NSC     string `json:"nsc"`
	UserJWT string `json:"user_jwt"`
	// If there is one of these, that does not matter.
	User  string `json:"user"`
	Creds string `json:"creds"`
	NKey  string `json:"nkey"`
	Token string `json:"token"`
}

// readContext reads a context by its name, or by the path of its file.
func readContext(name string) (c cliContext, err error) {
	file := name
	if !filepath.IsAbs(name) {
		dir, err := contextDir()
		if err != nil {
			return c, err
		}
		file = filepath.Join(dir, name+".json")
	}

	text, err := os.ReadFile(file)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("%s: %w", file, err)
	}

	if key := c.ignoredKey(); key != "" {
		return c, fmt.Errorf("%s: found %s, want user, creds, nkey or token: "+
			"write the credentials into a file (nsc generate creds) and name it with creds", file, key)
	}
	return c, nil
}

// ignoredKey names the credentials that natscontext would ignore, if there are no others.
func (c cliContext) ignoredKey() string {
	switch {
	case cmp.Or(c.User, c.Creds, c.NKey, c.Token) != "":
		return ""
	case c.NSC != "":
		return "nsc"
	case c.UserJWT != "":
		return "user_jwt"
	}
	return ""
}

// contextDir is where the nats CLI keeps its contexts.
func contextDir() (string, error) {
	config := os.Getenv("XDG_CONFIG_HOME")
	if config == "" {
		u, err := user.Current()
		if err != nil {
			return "", err
		}
		config = filepath.Join(u.HomeDir, ".config")
	}
	return filepath.Join(config, "nats", "context"), nil
}

// checkPlace reports contradictions about where the streams are.
func (s Settings) checkPlace() error {
	switch {
	case s.Domain != "" && s.APIPrefix != "":
		return fmt.Errorf("nats: domain %s and api-prefix %s are set: want one of them", s.Domain, s.APIPrefix)
	case strings.ContainsAny(s.Domain, ". *>\t"):
		return fmt.Errorf("nats: domain %q: want a name without dots, spaces, * and >", s.Domain)
	case strings.ContainsAny(s.APIPrefix, " *>\t"):
		return fmt.Errorf("nats: api-prefix %q: want a subject without spaces, * and >", s.APIPrefix)
	}
	return nil
}
