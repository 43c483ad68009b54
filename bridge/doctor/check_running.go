package doctor

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/section"
	"supernats/bridge/supervisord"
	"supernats/schema"
	"supernats/schema/natsconn"
	"supernats/schema/stream"
)

// answerTimeout is how long supervisord, and a NATS server, may take.
const answerTimeout = 5 * time.Second

// checkRunning asks supervisord for its bridges. That it does not run was reported before.
func checkRunning(ctx context.Context, h *host) {
	s := h.server("unix_http_server")
	if h.daemon.pid == 0 || s == nil {
		return
	}
	path, err := s.Value("file", "")
	if err != nil || path == "" {
		return
	}
	user, _ := s.Value("username", "")
	password, _ := s.Value("password", "")
	client, err := supervisord.New(supervisord.Config{
		URL: "unix://" + path, Username: user, Password: password, Timeout: answerTimeout,
	})
	if err != nil {
		return
	}

	table, err := client.Processes(ctx)
	if err != nil {
		again := h.fix.apply(h.conf.Section("supervisord"))
		h.report.warn(s, "file", "run this as root; or, if supervisord does not answer anybody: "+again,
			"cannot ask supervisord whether it runs the sections: %v", err)
		return
	}
	hasOutput := section.HasOutput(h.conf)
	for _, b := range h.bridges {
		i := slices.IndexFunc(table, func(p schema.SnapshotProcess) bool { return p.Group == b.pool })
		switch {
		case i < 0:
			h.report.fail(b.Section, "", h.fix.ctl("update"),
				"supervisord does not have this section: it was not updated since")
		case b.isForOutput() && !hasOutput: // it runs when it is needed
		case table[i].State != schema.StateRunning && table[i].State != schema.StateStarting:
			h.report.fail(b.Section, "", h.fix.ctl("start "+quote(b.pool+":*"))+"; its log says why: "+
				h.fix.ctl("tail -4000 "+quote(b.pool+":"+table[i].Process)+" stderr"),
				"it is %s: nobody listens", table[i].State)
		}
	}
}

// checkNATS connects as each bridge does.
func checkNATS(ctx context.Context, h *host) {
	var done []natsconn.Settings
	for _, b := range h.bridges {
		settings := b.flags.NATS
		if b.flagsErr != nil || slices.Contains(done, settings) {
			continue
		}
		done = append(done, settings)
		withEnviron(b.environ, func() { h.tryNATS(ctx, b, settings) })
	}
}

// tryNATS connects once, and looks for the stream of events.
func (h *host) tryNATS(ctx context.Context, b *bridgeSection, settings natsconn.Settings) {
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
		h.report.fail(b.Section, "command", "supernats init --nats-url "+quote(nc.ConnectedUrlRedacted()),
			"NATS has no stream %s: %s", stream.Events, why)
	}
}
