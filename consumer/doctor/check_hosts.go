package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"supernats/consumer/inspect"
	"supernats/consumer/state"
	"supernats/consumer/wording"
	"supernats/schema"
	"supernats/schema/checkup"
)

const (
	// lossAge is how long a loss of events is worth a warning.
	lossAge = 7 * 24 * time.Hour
	// maxNamed is how many hosts are named in one line.
	maxNamed = 5
	// ownPool is the usual name of the bridge's section.
	ownPool = "supernats"
	// bridgeLog is the command that shows what a bridge reports.
	bridgeLog = "supervisorctl tail supernats stderr"
	// forgetHost is for a host that is gone for good.
	forgetHost = "supernats hosts forget HOST"
)

// checkHosts reports what is wrong with hosts, their supervisords and bridges.
func checkHosts(ctx context.Context, in *Installation, r *checkup.Report) error {
	f, err := in.Reader.Fleet(ctx)
	if err != nil {
		return err
	}
	(&hostReport{report: r, fleet: f, version: in.Version}).addFleet()
	return nil
}

// hostReport adds what is wrong with hosts to a report.
type hostReport struct {
	report *checkup.Report
	fleet  *inspect.Fleet
	// version is the one that bridges should have.
	version string
}

func (h *hostReport) addFleet() {
	hosts := h.fleet.Hosts
	if len(hosts) == 0 {
		h.report.Warn("supernats-bridge conf > /etc/supervisor/conf.d/supernats.conf && supervisorctl update",
			"no host is known: no supernats-bridge has started")
		return
	}

	before := len(h.report.Findings)
	var silent, shutDown []string
	versions := otherVersions{}
	sorted := slices.Clone(hosts)
	slices.SortFunc(sorted, func(a, b schema.HostRecord) int { return strings.Compare(a.Host, b.Host) })
	for i := range sorted {
		host := &sorted[i]
		h.addKilled(host)
		if h.fleet.IsShutDown(host) {
			shutDown = append(shutDown, h.withAge(host))
		} else {
			silent = append(silent, h.silentParts(host)...)
		}
		h.addTroubles(host)
		h.addLosses(host)
		h.addSections(host)
		h.compareVersions(host, versions)
	}

	h.addServerClock()
	if len(silent) > 0 {
		h.report.Warn("there: supervisorctl status, and "+bridgeLog+"; if a host is gone for good: "+forgetHost,
			"%s silent: %s", wording.Count(len(silent), "host is", "hosts are"), firstNames(silent))
	}
	if n := len(shutDown); n > 0 {
		announced := map[bool]string{true: "its supervisord", false: "their supervisords"}[n == 1]
		h.report.Warn("there: systemctl start supervisor; if a host is gone for good: "+forgetHost,
			"%s shut down, as %s announced, and not back: %s",
			wording.Count(n, "host is", "hosts are"), announced, firstNames(shutDown))
	}
	h.addVersions(versions)

	if len(h.report.Findings) == before {
		h.report.OK("%s, all seen within %s", wording.Count(len(hosts), "host", "hosts"),
			wording.Compact(schema.SilentAfter))
	}
}

// addServerClock reports that the clock of the NATS server is wrong, which looks as if
// those of all hosts were.
func (h *hostReport) addServerClock() {
	hosts := h.fleet.Hosts
	var offsets []int64
	for i := range hosts {
		for _, l := range hosts[i].Lives {
			if l.Ended == nil && l.Clock != nil && l.Clock.Settled {
				offsets = append(offsets, l.Clock.Offset)
			}
		}
	}
	if len(offsets) < 2 || len(hosts) < 2 {
		return
	}

	least, most := slices.Min(offsets), slices.Max(offsets)
	spread := time.Duration(most-least) * time.Millisecond
	if off := time.Duration(least) * time.Millisecond; off.Abs() > state.WrongClock && spread <= state.WrongClock {
		h.report.Warn("on the machine of nats-server: timedatectl set-ntp true; chronyc tracking",
			"the clocks of all %d hosts differ from that of nats-server by the same %s: its clock is wrong, not theirs",
			len(hosts), state.Span(off))
	}
}

// silentParts returns a silent host, or the silent ones of its supervisords. One that was
// killed is reported by addKilled.
func (h *hostReport) silentParts(host *schema.HostRecord) (list []string) {
	if h.fleet.IsGone(host) {
		return nil
	}
	if h.fleet.IsSilent(host) {
		return []string{h.withAge(host)}
	}

	for i := range host.Lives {
		l := &host.Lives[i]
		if since, ok := h.fleet.QuietSince(host, l); ok && l.SupervisorState != schema.SupervisorGone {
			list = append(list, fmt.Sprintf("%s (its supervisord %s, %s)", host.Host, l.Server, h.age(since)))
		}
	}
	return list
}

// withAge is a host with how long ago it was seen.
func (h *hostReport) withAge(host *schema.HostRecord) string {
	return host.Host + " (" + h.age(host.LastSeen) + ")"
}

func (h *hostReport) age(at schema.Time) string { return wording.Compact(h.fleet.Now.Sub(at.Time)) }

// addKilled reports supervisords of a host that have ended without a shutdown.
func (h *hostReport) addKilled(host *schema.HostRecord) {
	lives, _ := h.fleet.Living(host)
	for _, l := range lives {
		if l.SupervisorState != schema.SupervisorGone {
			continue
		}
		supervisord := "its supervisord"
		if len(lives) > 1 {
			supervisord += " " + l.Server
		}
		h.report.Fail("there: end what it has left running (ps -ef), or it will run twice; "+
			"then: systemctl start supervisor; if the host is gone for good: "+forgetHost,
			"host %s: %s died without a shutdown %s ago: nobody knows whether its processes live, and "+
				"nobody starts them again",
			host.Host, supervisord, h.age(l.LastSeen))
	}
}

// harmless are the troubles by which no event is lost and everybody is notified.
var harmless = map[string]bool{
	schema.TroubleClock: true, schema.TroubleProcesses: true,
	"xmlrpc": true, "reasons": true, "log-rotated": true, "log-tail": true,
	"section": true, "no-ticks": true, "listen": true, "identity": true, "id-taken": true,
	"message-too-large": true, "nats-look": true, "no-ttl": true, "watch": true,
}

// addTroubles reports what bridges of a host have reported, and what the daemon has found.
func (h *hostReport) addTroubles(host *schema.HostRecord) {
	for _, t := range host.Troubles {
		status := checkup.Fail
		if harmless[t.Cause] {
			status = checkup.Warn
		}
		where := host.Host
		if t.Pool != "" && t.Pool != ownPool {
			where += " (section " + t.Pool + ")"
		}
		lasts := ""
		if !t.Since.IsZero() {
			lasts = " for " + h.age(t.Since)
		}
		h.report.Add(checkup.Finding{Status: status, Fix: t.Fix, Message: fmt.Sprintf(
			"host %s: %s%s: %s", where, t.Cause, lasts, t.Text)})
	}

	if host.MoreTroubles > 0 {
		h.report.Warn("there: "+bridgeLog, "host %s: %d troubles more were reported than are kept", host.Host,
			host.MoreTroubles)
	}
	if host.LastResent != nil && h.fleet.Now.Sub(host.LastResent.Time) < lossAge {
		h.report.Warn("find out which NATS user publishes message ids of this host that are not its own, "+
			"and revoke its rights; the events of the host are stored all the same",
			"host %s: the stream took %d of its events for duplicates that they were not, the last time %s ago: "+
				"somebody else uses its message ids",
			host.Host, host.Resent, h.age(*host.LastResent))
	}
}

// addLosses reports lost events.
func (h *hostReport) addLosses(host *schema.HostRecord) {
	if host.LastLoss == nil || h.fleet.Now.Sub(host.LastLoss.Time) >= lossAge {
		return
	}
	h.report.Warn(fixOfLoss(host), "host %s lost %d events, the last time %s ago", host.Host, host.Lost,
		h.age(*host.LastLoss))
}

// fixOfLoss says what to do about the last loss of a host.
func fixOfLoss(host *schema.HostRecord) string {
	cause := ""
	for i := range host.Bridges {
		if b := &host.Bridges[i]; b.LastLoss != nil && b.LastLoss.Equal(host.LastLoss.Time) {
			cause = b.LossCause
		}
	}

	switch cause {
	case schema.LossNotListening:
		return "supervisord did not run the bridge for a while, as after `supervisorctl update` of its section: " +
			"what happened is counted, the events are gone"
	case schema.LossFull:
		return "the spool was full: raise --spool-max of the bridge, or find out why NATS was away for so long"
	case schema.LossCorrupt:
		return "files of the spool were damaged or removed there: check the disk, " +
			"and what else writes into the spool's directory"
	}
	return "its supervisord needs buffer_size=65536 in the section of the bridge: supernats-bridge conf; " +
		"`supernats tail" + wording.Option("host", host.Host) + "` shows what fills it"
}

// firstNames lists the first of some names.
func firstNames(names []string) string {
	if len(names) <= maxNamed {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:maxNamed], ", ") + fmt.Sprintf(" and %d more", len(names)-maxNamed)
}
