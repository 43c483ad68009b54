package bridge

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"supernats/bridge/publish"
	"supernats/bridge/record"
	"supernats/bridge/section"
	"supernats/bridge/snapshot"
	"supernats/schema"
	"supernats/schema/stream"
)

// reasonsWait is how long a record of ourselves waits to know how reasons are found.
const reasonsWait = 20 * time.Millisecond

// recordStarted tells that the bridge runs, when it knows under whom.
func (b *Bridge) recordStarted(ctx context.Context, at time.Time) error {
	subject, id, json, err := b.own(schema.BridgeStarted, at)
	if err != nil {
		return err
	}
	return b.journal.StoreMessage(ctx, at, subject, id, json)
}

// own makes a record of ourselves.
func (b *Bridge) own(kind string, at time.Time) (subject, id string, json []byte, err error) {
	names, known := b.life.Names()
	if !known {
		names.Pool = b.life.Pool()
	}
	rec := schema.Bridge{
		Host: b.cfg.Host, Server: names.Server, Boot: b.life.String(), Pool: names.Pool,
		BridgeVersion: b.version, PID: os.Getpid(), Settings: b.cfg.settings(),
		SupervisorPID: b.SupervisorPID(), Ephemeral: b.cfg.Ephemeral, Section: b.section.Describe(names.Pool),
	}
	if b.sees(schema.ProcessStateExited) {
		rec.Reasons = b.reasons.Status(reasonsWait)
		rec.Watch = b.deaths.Status()
	}
	if by := b.life.IdentifiedBy(); by != "" {
		rec.Settings["identity"] = by
	}
	if kind == schema.BridgeStopping {
		rec.SupervisorState = b.stopState
	}
	b.describeSpool(&rec)
	ce := rec.Envelope(kind, at)
	json, err = schema.Marshal(ce)
	return schema.BridgeSubject(b.cfg.Host, kind), ce.ID, json, err
}

// resent makes the record of an event that was stored under another message id.
func (b *Bridge) resent(event, messageID string) *nats.Msg {
	names, _ := b.life.Names()
	rec := schema.Resent{
		Host: b.cfg.Host, Server: names.Server, Boot: b.life.String(), Pool: names.Pool,
		Event: event, MessageID: messageID,
	}
	ce := rec.Envelope(time.Now())
	json, _ := schema.Marshal(ce) // texts only: they always encode
	return record.NewMessage(schema.BridgeSubject(b.cfg.Host, schema.BridgeResent), ce.ID, json, 0)
}

// fence is how the publisher finds out what the stream has of ours. All listeners
// of a host use one consumer: a user's permissions name it.
func (b *Bridge) fence() *publish.Fence {
	token := schema.Token(b.cfg.Host)
	ours := b.life.String()
	return &publish.Fence{
		Record: func() (*nats.Msg, error) {
			subject, id, json, err := b.own(schema.BridgeReconnect, time.Now())
			return record.NewMessage(subject, id, json, 0), err
		},
		Consumer: stream.BridgeConsumer(b.cfg.Host), Filter: "supervisor.*." + token + ".>",
		Replaced: func(m *nats.Msg) bool { return strings.HasPrefix(m.Subject, schema.SnapshotPrefix) },
		Passed:   func() { b.snapshots.Want(snapshot.Reconnect) },
		Boot: func(id string) string { // host/boot/…
			rest, _ := strings.CutPrefix(id, b.cfg.Host+"/")
			boot, _, _ := strings.Cut(rest, "/")
			if boot == b.life.String() {
				return ours // also if the first event shows another life
			}
			return boot
		},
		Ours:      ours,
		Listener:  b.isListener,
		Processes: func() map[string]bool { table, _ := b.ours.Load().(map[string]bool); return table },
	}
}

// isListener reports whether a group, a token, is a section of a bridge: our own, or the
// ones that `supernats-bridge conf` prints.
func (b *Bridge) isListener(group string) bool {
	name := strings.TrimSuffix(group, section.LogsSuffix)
	return name == section.Name || name == strings.TrimSuffix(schema.Token(b.life.Pool()), section.LogsSuffix)
}

// keepProcesses notes which processes our supervisord has.
func (b *Bridge) keepProcesses(snap *schema.Snapshot) {
	ours := make(map[string]bool, len(snap.Processes))
	for _, p := range snap.Processes {
		ours[schema.Token(p.Group)+"."+schema.Token(p.Process)] = true
	}
	b.ours.Store(ours)
}

// describeSpool says in a record of ourselves where events wait.
func (b *Bridge) describeSpool(rec *schema.Bridge) {
	rec.Spool = schema.SpoolMemory
	queue := b.journal.Spool()
	if queue == nil {
		return
	}
	rec.Instance = queue.Instance()
	if dir := queue.Dir(); dir != "" {
		rec.Settings["spool-dir"] = dir
		if queue.Stats().Disk == nil {
			rec.Spool = schema.SpoolDisk
		}
	}
}
