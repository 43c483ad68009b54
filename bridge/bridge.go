// Package bridge is supernats-bridge: it takes the events that supervisord hands to a
// listener and publishes them to JetStream.
//
//	supervisord ──► eventlistener ──► journal ──► spool ──► source ──► publish ──► JetStream
//	   pipe          accept()        account,     disk or    reasons
//	                                 records      memory     of deaths
//
// The listener answers when the spool has the event, on disk or, while the disk takes
// nothing, in memory. The publisher moves it from there to the stream and waits for the
// acknowledgement; on the way, deathreason finds out why processes died. supervisord waits
// for the first two steps only, so neither NATS nor the network can hold it up.
//
// This package puts the parts together; what they do is in the packages below it. Config
// is checked by New, and Run goes from there to the goroutines.
//
// Under pressure: when the spool is nearly full, TICK and PROCESS_LOG are dropped and
// counted. When it is full the bridge stops answering: supervisord buffers buffer_size
// events and then drops the oldest one, which is counted too.
package bridge

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"supernats/bridge/boot"
	"supernats/bridge/deathreason"
	"supernats/bridge/deaths"
	"supernats/bridge/eventlistener"
	"supernats/bridge/journal"
	"supernats/bridge/metrics"
	"supernats/bridge/proctable"
	"supernats/bridge/pulse"
	"supernats/bridge/record"
	"supernats/bridge/section"
	"supernats/bridge/snapshot"
	"supernats/bridge/supervisord"
	"supernats/bridge/trouble"
)

// ExitDelay is how long the program waits before it exits with an error: with startsecs=0
// supervisord starts it again at once, for ever.
const ExitDelay = time.Second

// Bridge is one run of one listener.
type Bridge struct {
	cfg Config
	log zerolog.Logger

	// Set once by New.
	server    xmlrpc // supervisord's XML-RPC
	registry  *prometheus.Registry
	metrics   *metrics.Metrics
	troubles  *trouble.Board
	life      *boot.Life
	section   *section.Own // read from Run on
	output    *section.Starter
	journal   *journal.Journal
	reasons   *deathreason.Reasons
	deaths    *deaths.Finder
	snapshots *snapshot.Taker
	table     *proctable.Table // the last process table, kept for the next run
	self      *self
	roster    *roster
	nats      natsLink
	encoder   record.Encoder

	// How events arrive. The goroutine that listens hands them each event.
	silence pulse.Silence
	lag     pulse.Lag
	late    *pulse.LateDeaths
	burst   pulse.Burst

	// Of the goroutine that listens. heard says that an event has come, started that the
	// record of our start is stored, stoppingRead that supervisord has reported its own
	// end. buf holds the record that is being made.
	heard        bool
	started      bool
	stoppingRead bool
	buf          []byte

	lastSerial atomic.Uint64 // of the last event that was read
}

// New checks the settings. bootID is that of the supervisord, or zero: then Run finds it
// out. version is the program's. An error is one of the settings: exit code 2.
func New(cfg Config, bootID [8]byte, version string, log zerolog.Logger) (*Bridge, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	ttl, err := record.NewTTL(cfg.TTL)
	if err != nil {
		return nil, err
	}
	client, err := newClient(cfg.ServerURL)
	if err != nil {
		return nil, err
	}

	b := &Bridge{
		cfg:     cfg,
		log:     log.With().Str("component", "bridge").Str("host", cfg.Host).Logger(),
		encoder: record.Encoder{Host: cfg.Host, TTL: ttl},
		section: new(section.Own),
		table:   new(proctable.Table),
	}
	b.connectParts(client, bootID, version)
	return b, nil
}

// newClient returns a client of supervisord's XML-RPC; nil without a URL.
func newClient(url string) (*supervisord.Client, error) {
	if url == "" {
		return nil, nil
	}
	client, err := supervisord.New(supervisord.Config{
		URL:      url,
		Username: os.Getenv("SUPERVISOR_USERNAME"),
		Password: os.Getenv("SUPERVISOR_PASSWORD"),
	})
	if err != nil {
		return nil, fmt.Errorf("--server-url: %w", err)
	}
	return client, nil
}

// Heard reports whether supervisord has ever sent an event. Call it after Run.
func (b *Bridge) Heard() bool { return b.heard }

// seesEvent reports whether our section is subscribed to an event; true if that is not known.
func (b *Bridge) seesEvent(event string) bool { return b.section.Sees(b.life.Pool(), event) }

// Describe adds to an error of Run what an operator can do.
func Describe(err error) error {
	var malformed *eventlistener.HeaderError
	if errors.As(err, &malformed) {
		return fmt.Errorf("%w; is this program the command of an [eventlistener:x] section "+
			"(see `supernats-bridge conf`)?", err)
	}
	return err
}
