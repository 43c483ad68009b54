package bridge

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/boot"
	"supernats/bridge/metrics"
	"supernats/bridge/publish"
	"supernats/bridge/publish/rivals"
	"supernats/bridge/record"
	"supernats/bridge/section"
	"supernats/bridge/snapshot"
	"supernats/bridge/trouble"
	"supernats/schema"
	"supernats/schema/natsconn"
	"supernats/schema/stream"
)

const (
	// giveWayBelow is the part of the spool up to which bursts are taken before anything is
	// published.
	giveWayBelow = 0.5
	// ensureTimeout bounds how long the stream is looked for.
	ensureTimeout = 5 * time.Second
)

// newPublisher returns the publisher of what the spool holds. The spool is open.
func (b *Bridge) newPublisher() (*publish.Publisher, error) {
	queue := b.journal.Spool()
	from := &source{
		queue: queue, end: b.journal.EndOfSpool, encoder: b.encoder, reasons: b.reasons, metrics: b.metrics,
		skip: b.cfg.Skip, tableStored: b.snapshots.Stored,
	}
	left := queue.Stats()

	var publisher *publish.Publisher
	publisher, err := publish.New(publish.Config{
		Source: from, Left: int(left.Records), Seq: left.Seq,
		Connect: b.nats.connect, JetStream: b.nats.jetStream, Ensure: ensureStream,
		Stream: stream.Events, Fence: b.fence(),
		Log: b.log, Raise: b.troubles.Raise, Clear: b.troubles.Clear,
		GiveWay: b.giveWay, Lost: b.reportLost, Duplicate: b.metrics.Duplicate,
		Resent: func(id, messageID string) { publisher.Aside("resent/"+id, b.self.resentRecord(id, messageID)) },
	})
	return publisher, err
}

// natsLink makes the connections of the bridge to NATS.
type natsLink struct {
	host     string
	settings natsconn.Settings
	metrics  *metrics.Metrics
	troubles *trouble.Board // repeated with each connection after the first one
}

// connect makes a connection.
func (l natsLink) connect(more ...nats.Option) (*nats.Conn, error) {
	more = append(more, l.metrics.ConnectionOptions(l.troubles.Repeat)...)
	more = append(more,
		// An inbox of its own, so that a host's permissions can name it.
		nats.CustomInboxPrefix("_INBOX_"+schema.Token(l.host)),
		// Left to the dialler, which the end of a context interrupts.
		nats.SkipHostLookup())
	return l.settings.Connect("supernats-bridge "+l.host, more...)
}

// jetStream returns where the settings say that the streams are.
func (l natsLink) jetStream(nc *nats.Conn) (jetstream.JetStream, error) {
	return l.settings.JetStream(nc)
}

// ensureStream creates the stream if it is missing.
func ensureStream(ctx context.Context, js jetstream.JetStream) error {
	ctx, cancel := context.WithTimeout(ctx, ensureTimeout)
	defer cancel()
	return stream.EnsureEvents(ctx, js, stream.DefaultLimits())
}

// reportLost reports a record that cannot become a message.
func (b *Bridge) reportLost(rec publish.Record, err error) {
	b.metrics.Loss(metrics.CauseUnpublishable, 1)
	b.log.Error().Err(err).Int("record_bytes", rec.Size()).Msg("event cannot be published and is lost")
}

// giveWay reports whether the publisher is to wait: there is a burst, and room for it.
func (b *Bridge) giveWay() bool {
	return b.burst.Running(time.Now()) && b.journal.Spool().Used() < giveWayBelow
}

// fence is how the publisher finds out what the stream has of ours. All listeners of a
// host use one consumer: a user's permissions name it.
func (b *Bridge) fence() *publish.Fence {
	ours := b.life.String()

	return &publish.Fence{
		Record: func() (*nats.Msg, error) {
			m, err := b.self.bridgeRecord(schema.BridgeReconnect, time.Now())
			return record.NewMessage(m.subject, m.id, m.json, 0), err
		},
		Consumer: stream.BridgeConsumer(b.cfg.Host),
		Filter:   "supervisor.*." + schema.Token(b.cfg.Host) + ".>",
		Replaced: func(m *nats.Msg) bool { return strings.HasPrefix(m.Subject, schema.SnapshotPrefix) },
		Passed:   func() { b.snapshots.Want(snapshot.Reconnect) },
		Self: rivals.Self{
			Boot:       ours,
			Processes:  b.roster.processes,
			IsListener: b.roster.isListener,
			BootOf: func(id string) string { // host/boot/…
				rest, _ := strings.CutPrefix(id, b.cfg.Host+"/")
				boot, _, _ := strings.Cut(rest, "/")
				if boot == b.life.String() {
					return ours // also if the first event shows another life
				}
				return boot
			},
		},
	}
}

// roster knows which processes are ours, by the tokens of their subjects: what somebody
// else with our host name publishes is recognised by it.
type roster struct {
	life  *boot.Life
	table atomic.Pointer[map[string]bool] // GROUP.PROCESS; nil before the first process table
}

// keepTable notes which processes our supervisord has.
func (r *roster) keepTable(snap *schema.Snapshot) {
	ours := make(map[string]bool, len(snap.Processes))
	for _, p := range snap.Processes {
		ours[schema.Token(p.Group)+"."+schema.Token(p.Process)] = true
	}
	r.table.Store(&ours)
}

// processes returns the processes of our supervisord; nil while they are not known.
func (r *roster) processes() map[string]bool {
	if table := r.table.Load(); table != nil {
		return *table
	}
	return nil
}

// isListener reports whether a group, a token, is a section of a bridge: our own, or the
// ones that `supernats-bridge conf` prints.
func (r *roster) isListener(group string) bool {
	name := strings.TrimSuffix(group, section.LogsSuffix)
	return name == section.Name || name == strings.TrimSuffix(schema.Token(r.life.Pool()), section.LogsSuffix)
}
