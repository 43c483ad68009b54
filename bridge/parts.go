package bridge

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"supernats/bridge/boot"
	"supernats/bridge/deaths"
	"supernats/bridge/journal"
	"supernats/bridge/ledger"
	"supernats/bridge/metrics"
	"supernats/bridge/publish"
	"supernats/bridge/pulse"
	"supernats/bridge/section"
	"supernats/bridge/snapshot"
	"supernats/bridge/spool"
	"supernats/bridge/spool/queue"
	"supernats/bridge/supervisord"
	"supernats/bridge/trouble"
	"supernats/bridge/web"
	"supernats/schema"
)

// warnings are the causes of troubles with which events still arrive.
var warnings = []string{
	pulse.CauseXMLRPC, web.CauseListen, section.CauseNoTicks, section.CauseSection,
	"reasons", "log-rotated", "log-tail", "clock",
	boot.CauseIdentity, deaths.CauseWatch,
	publish.CauseLook, publish.CauseTTL, publish.CauseTooLarge, publish.CauseTaken, publish.CauseConflict,
}

// failures are the causes of troubles with which events may be late or lost.
var failures = []string{
	queue.CauseDiskFull, queue.CauseUnusable, queue.CauseLocked, queue.CauseRemoved, queue.CauseDamaged,
	causeSlow, journal.CauseFull,
	publish.CauseRights, publish.CauseRefuses,
	pulse.CauseSilent, pulse.CauseBacklog, pulse.CauseLate, section.CauseOutput,
}

// connectParts makes the parts of the bridge and connects them. Nothing runs yet, and
// nothing is read. Those that are made later may be used by those made before only when
// the bridge runs.
func (b *Bridge) connectParts(client *supervisord.Client, bootID boot.ID, version string) {
	b.registry = prometheus.NewRegistry()
	b.metrics = b.newMetrics()
	b.troubles = trouble.New(trouble.Config{
		Log: b.log, Metrics: prometheus.WrapRegistererWithPrefix(metrics.Prefix+"_", b.registry),
		Encode:   func(t schema.Trouble, at time.Time) (*nats.Msg, error) { return b.self.troubleRecord(t, at) },
		Warnings: warnings, Errors: failures,
	})
	b.server = xmlrpc{client: client, answers: &pulse.Answers{Log: b.log, Troubles: b.troubles}}
	b.registry.MustRegister(metrics.NewProcesses(b.server.askProcesses, b.server.scrapeFailed))

	// Which supervisord it is, and what is stored of its events.
	b.life = boot.NewLife(boot.LifeConfig{
		Log: b.log, Troubles: b.troubles, FindSpool: b.cfg.spoolChoice().Find,
		Changed: func(boot string) { b.reasons.SetBoot(boot) },
		Fixed:   bootID, Together: b.cfg.StartedTogether,
	})
	b.journal = journal.New(journal.Config{
		Host: b.cfg.Host, Log: b.log, Metrics: b.metrics, Troubles: b.troubles, Life: b.life, Table: b.table,
		Dropped: func(events uint64) {
			b.snapshots.Want(snapshot.Loss)
			b.lag.Dropped.Add(events)
		},
	})

	// What is found out about processes.
	b.reasons = b.newReasons()
	b.deaths = deaths.New(deaths.Config{
		Log: b.log, Troubles: b.troubles, Wake: b.cfg.Wake, Touch: b.server.touchToWake(),
	})
	b.snapshots = b.newSnapshots()
	b.output = section.NewStarter(section.StarterConfig{
		Troubles: b.troubles, Pool: b.life.Pool, SupervisorPID: b.life.SupervisorPID, Start: b.server.startStopped(),
	})

	// How events arrive, and what we report of ourselves.
	b.late = pulse.NewLateDeaths(b.troubles, b.followDeaths)
	b.lag.Troubles = b.troubles
	b.self = &self{
		cfg: b.cfg, version: version, life: b.life, section: b.section, journal: b.journal,
		reasons: b.reasons, deaths: b.deaths,
	}
	b.roster = &roster{life: b.life}
	b.nats = natsLink{host: b.cfg.Host, settings: b.cfg.NATS, metrics: b.metrics, troubles: b.troubles}
}

// newMetrics registers the metrics of this bridge. Its functions are called at each scrape.
func (b *Bridge) newMetrics() *metrics.Metrics {
	return metrics.New(b.registry, metrics.Config{
		LossCauses: ledger.Causes(),
		SpoolLimit: int64(b.cfg.SpoolMax),
		Ready:      func() bool { return b.journal.State().NotReady() == nil },
		OldestAge:  func() float64 { return b.journal.State().OldestAge() },

		Spool: func() metrics.Spool {
			st := b.journal.State().Stats()
			return metrics.Spool{Bytes: st.Bytes, Records: st.Records, Memory: st.Memory}
		},
		Deaths: func() metrics.Deaths {
			st := b.deaths.Stats()
			return metrics.Deaths{
				Watched: st.Watched, Unwatched: st.Unwatched,
				LookedAt: st.LookedAt, NotLookedAt: st.NotLookedAt,
				Wakeups:     st.Wakeups,
				OutOfMemory: st.Memory.OutOfMemory, Unclear: st.Memory.Unclear, Unfollowed: st.Memory.Unfollowed,
			}
		},
	})
}

// newServer serves metrics and the state of the bridge.
func (b *Bridge) newServer() *web.Server {
	return &web.Server{
		Listen: b.cfg.Listen, WebConfig: b.cfg.WebConfig, Log: b.log, Troubles: b.troubles,
		Metrics: b.registry, Status: b.readyStatus,
	}
}

// readyStatus is what /readyz shows.
func (b *Bridge) readyStatus() web.Status {
	s := web.Status{
		NotReady: b.journal.State().NotReady(), Connected: b.metrics.Connected(), Troubles: b.troubles.Lasting(),
	}
	if queue := b.journal.Spool(); queue != nil {
		st := queue.Stats()
		s.Spool = &web.Spool{
			Records: st.Records, Memory: st.Memory, Disk: st.Disk,
			Used: queue.Used(), Shedding: b.journal.NearlyFull(),
		}
	}
	return s
}

// openSpool opens the spool. The error is that of ctx.
func (b *Bridge) openSpool(ctx context.Context) error {
	where := b.cfg.spoolChoice()
	return b.journal.Open(ctx, queue.Options{
		Spool: spool.Options{Max: int64(b.cfg.SpoolMax), Sync: b.cfg.SpoolSync.every},
		Find:  where.Find, Elsewhere: where.Elsewhere(), Owner: b.cfg.owner(),
		Supervisord: b.life.Evidence().LocalPID(),
	})
}

// newSnapshots takes the snapshots of this bridge.
func (b *Bridge) newSnapshots() *snapshot.Taker {
	return snapshot.New(snapshot.Config{
		Log: b.log, Host: b.cfg.Host, Every: time.Duration(b.cfg.SnapshotEvery), Table: b.table,
		Ask: b.server.askSnapshot(), Failed: b.server.answers.Failed, Answered: b.shareTable,
		Boot: b.life.String, Serial: b.lastSerial.Load, Sees: b.seesEvent,
		Full: b.journal.NearlyFull, Store: b.journal.AppendMessage,
		Lost: b.journal.ReportFound, Dir: b.life.Dir,
	})
}

// shareTable hands supervisord's process table to those that have use for it.
func (b *Bridge) shareTable(ctx context.Context, snap *schema.Snapshot) {
	b.server.answers.Answered()
	b.reasons.Know(snap.Processes)
	b.roster.keepTable(snap)
	b.deaths.Know(snap.Processes)
	b.reasons.Follow(ctx)
}

// sectionChecker checks our section. A section for output does not lag: what is dropped
// from it is reported as lost, and that is all.
func (b *Bridge) sectionChecker() *section.Checker {
	return &section.Checker{
		Own: b.section, Arrivals: &b.silence, Troubles: b.troubles, Log: b.log, Pool: b.life.Pool,
		SeesDeaths: func(sees bool) { b.lag.Off.Store(!sees) },
	}
}
