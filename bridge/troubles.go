package bridge

import (
	"context"
	"fmt"
	"time"

	"supernats/bridge/boot"
	"supernats/bridge/deaths"
	"supernats/bridge/metrics"
	"supernats/bridge/publish"
	"supernats/bridge/pulse"
	"supernats/bridge/record"
	"supernats/bridge/section"
	"supernats/bridge/trouble"
	"supernats/bridge/web"
	"supernats/schema"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
)

// Causes of troubles that package bridge notices itself; its parts have others.
const (
	troubleSlow = "spool-slow"
)

// warnings are the causes with which events arrive all the same.
var warnings = []string{
	pulse.CauseXMLRPC, web.CauseListen, section.CauseNoTicks, section.CauseSection, "reasons", "log-rotated", "log-tail", "clock", boot.CauseIdentity, deaths.CauseWatch,
	publish.CauseLook, publish.CauseTTL, publish.CauseTooLarge, publish.CauseTaken, publish.CauseConflict,
}

// troubleMessage makes the record of a trouble. Before the first event the pool is
// what supervisord's environment says, and its name is not known.
func (b *Bridge) troubleMessage(t schema.Trouble, at time.Time) (*nats.Msg, error) {
	t.Host, t.Pool = b.cfg.Host, b.life.Pool()
	if b.life.ID() != (boot.ID{}) {
		t.Boot = b.life.String()
	}
	if names, known := b.life.Names(); known {
		t.Server = names.Server
	}
	ce := t.Envelope(at)
	json, err := schema.Marshal(ce)
	if err != nil {
		return nil, fmt.Errorf("encode a trouble: %w", err)
	}
	return record.NewMessage(schema.BridgeSubject(b.cfg.Host, schema.BridgeTrouble), ce.ID, json, 0), nil
}

// newBoard makes the board of this bridge's troubles.
func (b *Bridge) newBoard() *trouble.Board {
	return trouble.New(trouble.Config{
		Log: b.log, Metrics: prometheus.WrapRegistererWithPrefix(metrics.Prefix+"_", b.registry),
		Encode: b.troubleMessage, Warnings: warnings,
	})
}

// runTroubles reports troubles while the bridge runs, until the function that it
// returns is called.
func (b *Bridge) runTroubles(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // to the end of the drain time
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.troubles.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}
