package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/listeners"
	"supernats/bridge/section"
	"supernats/bridge/supervisord"
	"supernats/bridge/supervisordconf"
	"supernats/schema"
	"supernats/schema/checkup"
	"supernats/schema/natsconn"
	"supernats/schema/stream"
)

// answerTimeout is how long supervisord, and a NATS server, may take.
const answerTimeout = 5 * time.Second

// checkRunning asks supervisord for its bridges. That it does not run was reported before.
func checkRunning(ctx context.Context, h *host) {
	client, s, key := h.client()
	if h.daemon.PID == 0 || client == nil {
		return
	}

	if address, _ := s.Value(key, ""); key == "file" && address != "" {
		if _, err := os.Stat(h.looksAt(address)); errors.Is(err, fs.ErrNotExist) {
			return // the check rpc has reported it
		}
	}
	table, err := client.Processes(ctx)
	if err != nil {
		again := h.fix.apply(h.conf.Section("supervisord"))
		h.report.warn(s, key, "run this as root; or, if supervisord does not answer anybody: "+again,
			"cannot ask supervisord whether it runs the sections: %v", err)
		return
	}
	h.hasAsked = true
	hasOutput := section.HasOutput(h.conf)
	for _, b := range h.bridges {
		i := slices.IndexFunc(table, func(p schema.SnapshotProcess) bool { return p.Group == b.Pool })
		switch {
		case i < 0:
			h.report.fail(b.Section, "", h.fix.ctl("update"),
				"supervisord does not have this section: it was not updated since")
		case b.IsForOutput() && !hasOutput: // it runs when it is needed
		case table[i].State != schema.StateRunning && table[i].State != schema.StateStarting:
			h.report.fail(b.Section, "", h.fix.ctl("start "+checkup.Quote(b.Pool+":*"))+"; its log says why: "+
				h.fix.ctl("tail -4000 "+checkup.Quote(b.Pool+":"+table[i].Process)+" stderr"),
				"it is %s: nobody listens", table[i].State)
		}
	}
}

// client returns one for supervisord's XML-RPC, and the section and the key that say where
// it is; nil if nothing does.
func (h *host) client() (client *supervisord.Client, s *supervisordconf.Section, key string) {
	for _, way := range []struct{ section, key, scheme string }{
		{section: "unix_http_server", key: "file", scheme: "unix://"},
		{section: "inet_http_server", key: "port", scheme: "http://"},
	} {
		s := h.server(way.section)
		if s == nil {
			continue
		}
		address, err := s.Value(way.key, "")
		if err != nil || address == "" {
			continue
		}
		if way.key == "port" {
			address = localAddress(address)
		}

		user, _ := s.Value("username", "")
		password, _ := s.Value("password", "")
		client, err := supervisord.New(supervisord.Config{
			URL: way.scheme + address, Username: user, Password: password, Timeout: answerTimeout,
		})
		if err == nil {
			return client, s, way.key
		}
	}
	return nil, nil, ""
}

// localAddress is that of a port that may be one of all addresses (datatypes.py
// inet_address): "9001", "*:9001" or "127.0.0.1:9001".
func localAddress(port string) string {
	i := strings.LastIndex(port, ":")
	if host := port[:max(i, 0)]; host != "" && host != "*" {
		return port
	}
	return "127.0.0.1:" + port[i+1:]
}

// checkNATS connects as each bridge does.
func checkNATS(ctx context.Context, h *host) {
	var done []natsconn.Settings
	for _, b := range h.bridges {
		settings := b.Flags.NATS
		if b.FlagsErr != nil || slices.Contains(done, settings) {
			continue
		}
		done = append(done, settings)
		listeners.WithEnviron(b.Environ, func() { h.tryNATS(ctx, b, settings) })
	}
}

// tryNATS connects once, and looks for the stream of events.
func (h *host) tryNATS(ctx context.Context, b *listeners.Bridge, settings natsconn.Settings) {
	const why = "events wait in the spool"
	fix := "correct the --nats- flags in command= if they are wrong, then run: " + h.fix.apply(b.Section)
	nc, err := settings.Connect("supernats-bridge doctor", nats.RetryOnFailedConnect(false),
		nats.MaxReconnects(0), nats.Timeout(answerTimeout))
	var file *natsconn.FileError
	switch {
	case errors.As(err, &file):
		return // the check command has it, or we may not read it
	case err != nil:
		h.report.fail(b.Section, "command", fix+"; if they are right, start the server or open its port",
			"%v: %s", err, why)
		return
	}
	defer nc.Close()

	js, err := settings.JetStream(nc)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if _, err := js.Stream(ctx, stream.Events); errors.Is(err, jetstream.ErrStreamNotFound) {
		h.report.fail(b.Section, "command", "supernats init --nats-url "+checkup.Quote(nc.ConnectedUrlRedacted()),
			"NATS has no stream %s: %s", stream.Events, why)
	}
}
