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

// untaken is what happens to events that NATS does not take.
const untaken = "events wait in the spool"

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
		if b.FlagsErr != nil || slices.Contains(done, settings) || !areFiles(b) {
			continue
		}
		done = append(done, settings)
		listeners.WithEnviron(b.Environ, func() { h.tryNATS(ctx, b, settings) })
	}
}

// areFiles reports whether the files that flags name are none that would have to be waited
// for.
func areFiles(b *listeners.Bridge) bool {
	for _, path := range b.Flags.Files {
		if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
			return false
		}
	}
	return true
}

// reportConnect reports that a bridge cannot connect, and why.
func reportConnect(h *host, b *listeners.Bridge, settings natsconn.Settings, err error) {
	apply := ", then run: " + h.fix.apply(b.Section)
	if fix := settings.Fix(err); fix != "" && !isReported(err) {
		h.report.fail(b.Section, "command", fix+"; if a flag is wrong, correct command="+apply,
			"%v: %s", err, untaken)
		return
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		h.report.warn(b.Section, "command", "run it as root: sudo supernats-bridge doctor",
			"cannot check whether NATS takes the credentials: %v", err)
	case !isReported(err):
		h.report.fail(b.Section, "command", "correct the --nats- flags in command= if they are wrong"+apply+
			"; if they are right, start the server or open its port", "%v: %s", err, untaken)
	}
}

// isReported reports whether an error is about a file that cannot be read: the check command
// has those.
func isReported(err error) bool {
	return errors.As(err, new(*natsconn.FileError)) &&
		(errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission))
}

// tryNATS connects once, and looks for the stream of events.
func (h *host) tryNATS(ctx context.Context, b *listeners.Bridge, settings natsconn.Settings) {
	nc, err := settings.Connect("supernats-bridge doctor", nats.RetryOnFailedConnect(false),
		nats.MaxReconnects(0), nats.Timeout(answerTimeout))
	if err != nil {
		reportConnect(h, b, settings, err)
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
			"NATS has no stream %s: %s", stream.Events, untaken)
	}
}
