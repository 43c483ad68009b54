package app

import (
	"cmp"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// syncInterval is how often the embedded server flushes to the platter. What it
// acknowledged survives kill -9 at once and a power cut after that time.
const syncInterval = 10 * time.Second

// loopback is where a server listens that anybody may use.
const loopback = "127.0.0.1"

// What is said where the server does not listen as it was told to.
const (
	keptLocal    = "other hosts cannot reach the embedded NATS server: it has no users, so it listens on " + loopback + " only"
	keptLocalFix = "give it users with a file of nats-server's own settings, embedded.config, or write embedded.insecure: true if everybody who reaches it may read and write everything"
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
		if err := user.join(o, cfg.Account, c.NATS.Settings); err != nil {
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
		o.StoreDir = storeIn(c.DataDir)
	}
	// Unset, it would take three quarters of the free disk. The streams reserve what
	// they may take; a quarter more is for those of others.
	if o.JetStreamMaxStore <= 0 {
		o.JetStreamMaxStore = max(int64(cfg.MaxStore+cfg.MaxStore/4), c.StreamLimits().Total())
	}
	if o.JetStreamMaxMemory <= 0 {
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
		if !strings.Contains(err.Error(), cfg.Config) {
			err = fmt.Errorf("%s: %w", cfg.Config, err)
		}
		return nil, fmt.Errorf("embedded.config: %w", trimmed{err})
	}
	return o, nil
}

// trimmed is an error of nats-server, which ends each of its lines.
type trimmed struct{ error }

func (e trimmed) Error() string { return strings.TrimSpace(e.error.Error()) }
func (e trimmed) Unwrap() error { return e.error }

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

// address returns where programs on this machine reach the server.
func (cfg Embedded) address() string {
	scheme := "nats"
	host, port, err := splitListen(cfg.Listen)
	if err != nil {
		return scheme + "://" + cfg.Listen // check says what is wrong
	}

	o := &server.Options{}
	if cfg.Config != "" {
		if parsed, err := cfg.parse(); err == nil {
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
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() || cfg.keptLocal(o) != "" {
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

// Warnings are what is not as it was written, but works: "what; how to fix it".
func (c *Config) Warnings() (list []string) {
	if !c.embeds() && c.Embedded.Config != "" {
		return []string{"embedded.config is not used, since no server is embedded; remove it, or nats.url and nats.context"}
	}
	if !c.embeds() {
		return nil
	}
	user, err := newInProcessUser()
	if err != nil {
		return nil
	}
	if _, kept, err := c.serverOptions(user); err == nil && kept != "" {
		list = append(list, fmt.Sprintf("%s, and not on %s; %s", keptLocal, kept, keptLocalFix))
	}
	return list
}
