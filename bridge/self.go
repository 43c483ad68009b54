package bridge

import (
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"

	"supernats/bridge/boot"
	"supernats/bridge/deathreason"
	"supernats/bridge/deaths"
	"supernats/bridge/journal"
	"supernats/bridge/record"
	"supernats/bridge/section"
	"supernats/schema"
)

// reasonsWait is how long a record of ourselves waits to know how reasons are found.
const reasonsWait = 20 * time.Millisecond

// self makes the records of the bridge about itself. All but state is set once.
type self struct {
	cfg     Config
	version string
	life    *boot.Life
	section *section.Own
	journal *journal.Journal
	reasons *deathreason.Reasons
	deaths  *deaths.Finder

	// state is what supervisord does at our end: set before our last record is made.
	state string
}

// message is a record of ours, encoded.
type message struct {
	subject, id string
	json        []byte
}

// bridgeRecord makes a record of a kind: started, reconnect or stopping.
func (s *self) bridgeRecord(kind string, at time.Time) (message, error) {
	names, known := s.life.Names()
	if !known {
		names.Pool = s.life.Pool()
	}
	rec := schema.Bridge{
		Host: s.cfg.Host, Server: names.Server, Boot: s.life.String(), Pool: names.Pool,
		BridgeVersion: s.version, PID: os.Getpid(), Settings: s.cfg.settings(),
		SupervisorPID: s.life.Evidence().PID, Ephemeral: s.cfg.Ephemeral,
		Section: s.section.Describe(names.Pool),
	}

	if s.section.Sees(s.life.Pool(), schema.ProcessStateExited) {
		rec.Watch = s.deaths.Status()
		rec.Reasons = s.reasons.Status(reasonsWait)
		if r := rec.Reasons; r != nil && r.Source == schema.ReasonsNone && s.deaths.ReportsExits() {
			rec.Reasons = nil // the kernel has them
		}
	}
	if by := s.life.IdentifiedBy(); by != "" {
		rec.Settings["identity"] = by
	}
	if kind == schema.BridgeStopping {
		rec.SupervisorState = s.state
	}
	s.describeSpool(&rec)

	envelope := rec.Envelope(kind, at)
	json, err := schema.Marshal(envelope)
	return message{schema.BridgeSubject(s.cfg.Host, kind), envelope.ID, json}, err
}

// describeSpool says where events wait.
func (s *self) describeSpool(rec *schema.Bridge) {
	rec.Spool = schema.SpoolMemory
	queue := s.journal.Spool()
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

// resentRecord makes the record of an event that was stored under another message id.
func (s *self) resentRecord(event, messageID string) *nats.Msg {
	names, _ := s.life.Names()
	rec := schema.Resent{
		Host: s.cfg.Host, Server: names.Server, Boot: s.life.String(), Pool: names.Pool,
		Event: event, MessageID: messageID,
	}
	envelope := rec.Envelope(time.Now())
	json, _ := schema.Marshal(envelope) // texts only: they always encode
	return record.NewMessage(schema.BridgeSubject(s.cfg.Host, schema.BridgeResent), envelope.ID, json, 0)
}

// troubleRecord makes the record of a trouble. Before the first event the pool is what
// supervisord's environment says, and its name is not known.
func (s *self) troubleRecord(t schema.Trouble, at time.Time) (*nats.Msg, error) {
	t.Host, t.Pool = s.cfg.Host, s.life.Pool()
	if s.life.ID() != (boot.ID{}) {
		t.Boot = s.life.String()
	}
	if names, known := s.life.Names(); known {
		t.Server = names.Server
	}

	envelope := t.Envelope(at)
	json, err := schema.Marshal(envelope)
	if err != nil {
		return nil, fmt.Errorf("encode a trouble: %w", err)
	}
	return record.NewMessage(schema.BridgeSubject(s.cfg.Host, schema.BridgeTrouble), envelope.ID, json, 0), nil
}
