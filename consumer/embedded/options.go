package embedded

import (
	"fmt"
	"net"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// syncInterval is how often the embedded server flushes to the platter. What it
// acknowledged survives kill -9 at once and a power cut after that time.
const syncInterval = 10 * time.Second

// maxMemory is for streams in memory, which are those of others.
const maxMemory = 256 << 20

// loopback is where a server listens that anybody may use.
const loopback = "127.0.0.1"

// The warning that the server does not listen where its settings say.
const (
	keptLocal = "other hosts cannot reach the embedded NATS server: " +
		"it has no users, so it listens on " + loopback + " only"
	keptLocalFix = "give it users with a file of nats-server's own settings, embedded.config, " +
		"or write embedded.insecure: true if everybody who reaches it may read and write everything"
)

// options returns those of the server, by the configuration and by the file in
// nats-server's own form that it names. kept is the address at which it does not listen.
func (s Settings) options(user *inProcessUser) (o *server.Options, kept string, err error) {
	cfg := s.Section
	o = &server.Options{}
	if cfg.Config != "" {
		if o, err = cfg.parseFile(); err != nil {
			return nil, "", err
		}
		if err := user.joinUsers(o, cfg.Account, s.Login); err != nil {
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
	s.fillIn(o)

	if kept = cfg.refusedAddress(o); kept != "" {
		stayLocal(o)
	}

	// Signals are ours: the server's handler would end the process. So is the log.
	o.NoSigs = true
	o.LogFile = ""
	o.Syslog = false
	o.PidFile = ""
	return o, kept, nil
}

// fillIn sets what the file leaves open.
func (s Settings) fillIn(o *server.Options) {
	if o.Host == "" {
		o.Host = server.DEFAULT_HOST
	}
	if o.Port == 0 {
		o.Port = server.DEFAULT_PORT
	}
	if o.ServerName == "" {
		o.ServerName = "supernats"
	}
	if o.MaxConn == 0 {
		o.MaxConn = connections(descriptors())
	}

	o.JetStream = true
	if o.StoreDir == "" {
		o.StoreDir = storeIn(s.DataDir)
	}
	// Unset, it would take three quarters of the free disk. The streams reserve what
	// they may take; a quarter more is for those of others.
	if o.JetStreamMaxStore <= 0 {
		o.JetStreamMaxStore = max(int64(s.Section.MaxStore+s.Section.MaxStore/4), s.StreamBytes)
	}
	if o.JetStreamMaxMemory <= 0 {
		o.JetStreamMaxMemory = maxMemory
	}
	if o.SyncInterval == 0 {
		o.SyncInterval = syncInterval
	}
}

// refusedAddress returns the address at which the server does not listen, since everybody
// there could read and write everything; empty: it may listen where it is set to.
func (cfg Config) refusedAddress(o *server.Options) string {
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
		{host: &o.HTTPHost, open: o.HTTPPort != 0 || o.HTTPSPort != 0},
		{host: &o.Websocket.Host, open: o.Websocket.Port != 0},
		{host: &o.MQTT.Host, open: o.MQTT.Port != 0},
		{host: &o.LeafNode.Host, open: o.LeafNode.Port != 0},
		{host: &o.Cluster.Host, open: o.Cluster.Port != 0},
		{host: &o.Gateway.Host, open: o.Gateway.Port != 0},
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
