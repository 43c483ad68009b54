package app

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"supernats/schema/natsconn"
)

// syncInterval is how often the embedded server flushes to the platter. What it
// acknowledged survives kill -9 at once and a power cut after that time.
const syncInterval = 10 * time.Second

// loopback is where a server listens that anybody may use.
const loopback = "127.0.0.1"

// inProcessUser is the daemon itself on a server with users: a key that is made at
// each start and never leaves the process, so that nobody has to configure it.
type inProcessUser struct {
	key    nkeys.KeyPair
	public string
}

func newInProcessUser() (*inProcessUser, error) {
	key, err := nkeys.CreateUser()
	if err != nil {
		return nil, fmt.Errorf("make a key for the embedded NATS server: %w", err)
	}
	public, err := key.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("make a key for the embedded NATS server: %w", err)
	}
	return &inProcessUser{key, public}, nil
}

// option logs in with the key.
func (u *inProcessUser) option() nats.Option {
	return nats.Nkey(u.public, u.key.Sign)
}

// What is said where the server does not listen as it was told to.
const (
	KeptLocal    = "the embedded NATS server has no users, so it listens on " + loopback + " only: other hosts cannot reach it"
	KeptLocalFix = "give it users with a file of nats-server's own settings, embedded.config, or write embedded.insecure: true if everybody who reaches it may read and write everything"
)

// serverOptions are those of the embedded server: what the configuration says, and
// the file in nats-server's own form that it names. kept is the address at which it
// does not listen.
func (c *Config) serverOptions(user *inProcessUser) (o *server.Options, kept string, err error) {
	cfg := c.Embedded
	o = &server.Options{}
	if cfg.Config != "" {
		if o, err = cfg.parse(); err != nil {
			return nil, "", err
		}
		if err := user.join(o, cfg.Account); err != nil {
			return nil, "", fmt.Errorf("embedded.config %s: %w", cfg.Config, err)
		}
	}

	host, port, err := splitListen(cfg.Listen)
	if err != nil {
		return nil, "", fmt.Errorf("embedded.listen %w", err)
	}
	if o.Host == "" && o.Port == 0 {
		o.Host, o.Port = host, port
	}
	if o.Host == "" {
		o.Host = server.DEFAULT_HOST
	}
	if o.Port == 0 {
		o.Port = server.DEFAULT_PORT
	}
	if kept = cfg.keptLocal(o); kept != "" {
		stayLocal(o)
	}

	if o.ServerName == "" {
		o.ServerName = "supernats"
	}
	o.JetStream = true
	if o.StoreDir == "" {
		o.StoreDir = filepath.Join(c.DataDir, "nats")
	}
	// Unset, it would take three quarters of the free disk. The streams reserve what
	// they may take; a quarter more is for those of others.
	if o.JetStreamMaxStore == 0 {
		o.JetStreamMaxStore = max(int64(cfg.MaxStore+cfg.MaxStore/4), c.limits().Total())
	}
	if o.JetStreamMaxMemory == 0 {
		o.JetStreamMaxMemory = 256 << 20
	}
	if o.SyncInterval == 0 {
		o.SyncInterval = syncInterval
	}
	if o.MaxConn == 0 {
		o.MaxConn = connections(descriptors())
	}
	// Signals are ours: the server's handler would end the process. So is the log.
	o.NoSigs, o.LogFile, o.Syslog, o.PidFile = true, "", false, ""
	return o, kept, nil
}

// parse reads the file in nats-server's own form.
func (cfg Embedded) parse() (*server.Options, error) {
	o, err := server.ProcessConfigFile(cfg.Config)
	if err != nil {
		return nil, fmt.Errorf("embedded.config: %w", err)
	}
	return o, nil
}

// hasUsers reports whether a server asks who somebody is.
func hasUsers(o *server.Options) bool {
	return len(o.Users) > 0 || len(o.Nkeys) > 0 || o.Username != "" || o.Authorization != "" ||
		len(o.TrustedOperators) > 0 || len(o.TrustedKeys) > 0 || o.AuthCallout != nil ||
		o.TLSConfig != nil && o.TLSVerify
}

// keptLocal returns the address at which the server does not listen, since
// everybody there could read and write everything.
func (cfg Embedded) keptLocal(o *server.Options) string {
	if cfg.Insecure || hasUsers(o) || isLoopback(o.Host) {
		return ""
	}
	return net.JoinHostPort(o.Host, portText(o.Port))
}

// stayLocal makes a server listen on this machine only, all its doors.
func stayLocal(o *server.Options) {
	o.Host = loopback
	for _, door := range []struct {
		host *string
		open bool
	}{
		{&o.HTTPHost, o.HTTPPort != 0 || o.HTTPSPort != 0},
		{&o.Websocket.Host, o.Websocket.Port != 0},
		{&o.MQTT.Host, o.MQTT.Port != 0},
		{&o.LeafNode.Host, o.LeafNode.Port != 0},
		{&o.Cluster.Host, o.Cluster.Port != 0},
		{&o.Gateway.Host, o.Gateway.Port != 0},
	} {
		if door.open && !isLoopback(*door.host) {
			*door.host = loopback
		}
	}
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// join lets the daemon in beside the users of a file, into the account that has its
// streams.
func (u *inProcessUser) join(o *server.Options, account string) error {
	acc, err := findAccount(o, account)
	if err != nil {
		return err
	}
	switch {
	case !hasUsers(o):
		return nil // everybody may come in
	case len(o.TrustedOperators) > 0 || len(o.TrustedKeys) > 0:
		return nil // only with nats.creds_file, which check asks for
	case o.TLSMap:
		return errors.New("verify_and_map: the daemon itself has no certificate on its connection inside of the process; list the users with a password or an nkey")
	case o.Authorization != "":
		return nil // the daemon has read the token
	case o.Username != "":
		// Beside a list of keys the server would not look at it.
		o.Users = append(o.Users, &server.User{Username: o.Username, Password: o.Password})
		o.Username, o.Password = "", ""
	}
	o.Nkeys = append(o.Nkeys, &server.NkeyUser{Nkey: u.public, Account: acc, AllowedConnectionTypes: map[string]struct{}{jwt.ConnectionTypeInProcess: {}}})
	if c := o.AuthCallout; c != nil {
		c.AuthUsers = append(c.AuthUsers, u.public)
	}
	return nil
}

// findAccount returns the account of the streams, nil for the one that a server
// has which knows none.
func findAccount(o *server.Options, name string) (*server.Account, error) {
	var names []string
	var found *server.Account
	for _, a := range o.Accounts {
		if a.GetName() == cmp.Or(o.SystemAccount, server.DEFAULT_SYSTEM_ACCOUNT) {
			continue
		}
		names = append(names, a.GetName())
		if a.GetName() == name || name == "" {
			found = a
		}
	}
	slices.Sort(names)
	switch {
	case name == "" && len(names) > 1:
		return nil, fmt.Errorf("it has the accounts %s: say with embedded.account which one the streams are in", strings.Join(names, ", "))
	case name != "" && found == nil:
		return nil, fmt.Errorf("it has no account %s (embedded.account), but: %s", name, strings.Join(names, ", "))
	}
	return found, nil
}

// client returns how the daemon connects to the server that it embeds: by whom the
// configuration names, but without TLS, since nothing leaves the process.
func (e *embeddedServer) client(s natsconn.Settings) natsconn.Settings {
	s.URL, s.TLS = natsconn.DefaultURL, natsconn.TLS{} // the URL is not used
	return s
}

// login are the options of the daemon's connection.
func (e *embeddedServer) login() []nats.Option {
	opts := []nats.Option{nats.InProcessServer(e)}
	if e.cfg.NATS.Settings.LogsIn() {
		return opts
	}
	switch o := e.opts.Load(); {
	case len(o.Nkeys) > 0 && slices.ContainsFunc(o.Nkeys, func(n *server.NkeyUser) bool { return n.Nkey == e.user.public }):
		return append(opts, e.user.option())
	case o.Authorization != "":
		return append(opts, nats.Token(o.Authorization))
	}
	return opts
}

// address returns where other programs reach the server.
func (cfg Embedded) address() string {
	scheme, host, port := "nats", "", 0
	if cfg.Config != "" {
		if o, err := cfg.parse(); err == nil { // else check says what is wrong
			host, port = o.Host, o.Port
			if o.TLSConfig != nil {
				scheme = "tls"
			}
			if (host != "" || port != 0) && cfg.keptLocal(o) != "" {
				host = loopback
			}
		}
	}
	if host == "" && port == 0 {
		return scheme + "://" + cfg.Listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = loopback
	}
	if port == 0 {
		port = server.DEFAULT_PORT
	}
	return scheme + "://" + net.JoinHostPort(host, portText(port))
}

func splitListen(listen string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, fmt.Errorf("%q: %w", listen, err)
	}
	if port, err = strconv.Atoi(text); err != nil {
		return "", 0, fmt.Errorf("%q: the port is no number", listen)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

func portText(port int) string {
	return strconv.Itoa(max(0, port))
}
