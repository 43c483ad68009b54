package main

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"supernats/consumer/state"
	"supernats/schema"
	"supernats/schema/program"
)

const (
	// lossFor is how long a loss of events is worth a warning.
	lossFor = 7 * 24 * time.Hour
	// leastBuffer is the smallest buffer_size that holds the events of a start.
	leastBuffer = 1024
	// conf is how a section of the bridge is made that loses nothing.
	conf = "supernats-bridge conf prints a section that loses nothing; then: supervisorctl update"
)

func (d *doctor) hosts(ctx context.Context) error {
	f, err := readFleet(ctx, d.js)
	if err != nil {
		return err
	}
	d.fleet(f)
	return nil
}

// fleet reports what is wrong with hosts.
func (d *doctor) fleet(f *fleet) {
	if len(f.hosts) == 0 {
		d.warn("supernats-bridge conf > /etc/supervisor/conf.d/supernats.conf && supervisorctl update", "no host is known: no supernats-bridge has started")
		return
	}
	before := len(d.findings)
	slices.SortFunc(f.hosts, func(a, b schema.HostRecord) int { return strings.Compare(a.Host, b.Host) })
	others := map[string][]string{}
	var silent, shut []string
	for i := range f.hosts {
		h := &f.hosts[i]
		d.killed(f, h)
		if f.isShutDown(h) {
			shut = append(shut, f.since(h))
		} else {
			silent = append(silent, f.silences(h)...)
		}
		d.troubles(f, h)
		d.losses(f, h)
		d.sections(f, h)
		if h.BridgeVersion != program.Version {
			others[h.BridgeVersion] = append(others[h.BridgeVersion], h.Host)
		}
	}
	d.clocks(f)
	if len(silent) > 0 {
		d.warn("there: supervisorctl status, and supervisorctl tail supernats stderr; of one that is gone for good: supernats hosts forget HOST", "%s silent: %s", are(len(silent), "host"), some(silent))
	}
	if len(shut) > 0 {
		d.warn("there: systemctl start supervisor; of one that is gone for good: supernats hosts forget HOST", "%s shut down, as %s announced, and not back: %s", are(len(shut), "host"), its(len(shut)), some(shut))
	}
	for _, v := range keys(others) {
		d.warn("install supernats-bridge "+program.Version+" there, then: supervisorctl restart supernats", "bridge %s, not %s, on %s: %s", cmp.Or(v, "of an unknown version"), program.Version, counted(len(others[v]), "host"), some(others[v]))
	}
	if len(d.findings) == before {
		d.ok("%s, all seen within %s", counted(len(f.hosts), "host"), age(silentAfter))
	}
}

// clocks reports that the clock of the NATS server is wrong, which looks as if those
// of all hosts were.
func (d *doctor) clocks(f *fleet) {
	var offsets []int64
	for i := range f.hosts {
		for _, l := range f.hosts[i].Lives {
			if l.Ended == nil && l.Clock != nil && l.Clock.Settled {
				offsets = append(offsets, l.Clock.Offset)
			}
		}
	}
	if len(offsets) < 2 || len(f.hosts) < 2 {
		return
	}
	least, most := slices.Min(offsets), slices.Max(offsets)
	spread := time.Duration(most-least) * time.Millisecond
	if off := time.Duration(least) * time.Millisecond; off.Abs() > state.WrongClock && spread <= state.WrongClock {
		d.warn("on the machine of nats-server: timedatectl set-ntp true; chronyc tracking", "the clocks of all %d hosts differ from that of nats-server by the same %s: its clock is wrong, not theirs", len(f.hosts), state.Span(off))
	}
}

// silences are a silent host, or the silent ones of its supervisords.
func (f *fleet) silences(h *schema.HostRecord) (list []string) {
	if f.isGone(h) {
		return nil // see killed
	}
	if f.silent(h) {
		return []string{f.since(h)}
	}
	for _, l := range h.Lives {
		if since, ok := f.quiet[life{h.Host, l.Boot}]; ok && l.SupervisorState != schema.SupervisorGone {
			list = append(list, h.Host+" (its supervisord "+l.Server+", "+age(f.now.Sub(since.Time))+")")
		}
	}
	return list
}

// since is a host with how long ago it was seen.
func (f *fleet) since(h *schema.HostRecord) string {
	return h.Host + " (" + age(f.now.Sub(h.LastSeen.Time)) + ")"
}

// its is who announced something: one supervisord, or several.
func its(n int) string {
	if n == 1 {
		return "its supervisord"
	}
	return "their supervisords"
}

// killed reports supervisords of a host that have ended without a shutdown.
func (d *doctor) killed(f *fleet, h *schema.HostRecord) {
	lives, _ := f.living(h)
	for _, l := range lives {
		if l.SupervisorState == schema.SupervisorGone {
			who := "its supervisord"
			if len(lives) > 1 {
				who += " " + l.Server
			}
			d.fail("there: end what it has left running (ps -ef), or it will run twice; then: systemctl start supervisor; of a host that is gone for good: supernats hosts forget HOST",
				"host %s: %s died without a shutdown %s ago: nobody knows whether its processes live, and nobody starts them again", h.Host, who, age(f.now.Sub(l.LastSeen.Time)))
		}
	}
}

// mere are the troubles by which no event is lost and everybody is notified.
var mere = map[string]bool{
	"clock": true, "xmlrpc": true, "reasons": true, "log-rotated": true, "log-tail": true, "section": true, "no-ticks": true,
	"listen": true, "identity": true, "id-taken": true, "message-too-large": true, "nats-look": true, "no-ttl": true,
	schema.TroubleProcesses: true,
}

// troubles reports what bridges of a host have reported, and what the daemon has
// found.
func (d *doctor) troubles(f *fleet, h *schema.HostRecord) {
	for _, t := range h.Troubles {
		grade := gradeFail
		if mere[t.Cause] {
			grade = gradeWarn
		}
		where := h.Host
		if t.Pool != "" && t.Pool != "supernats" {
			where += " (section " + t.Pool + ")"
		}
		d.add(grade, t.Fix, "host %s: %s for %s: %s", where, t.Cause, age(f.now.Sub(t.Since.Time)), t.Text)
	}
	if h.MoreTroubles > 0 {
		d.warn("there: supervisorctl tail supernats stderr", "host %s: %d troubles more were reported than are kept", h.Host, h.MoreTroubles)
	}
	if h.LastResent != nil && f.now.Sub(h.LastResent.Time) < lossFor {
		d.warn("find out which NATS user publishes message ids of this host that are not its own, and take its rights away; the events of the host are stored all the same",
			"host %s: the stream took %d of its events for duplicates that they were not, the last time %s ago: somebody else uses its message ids", h.Host, h.Resent, age(f.now.Sub(h.LastResent.Time)))
	}
}

// losses reports lost events.
func (d *doctor) losses(f *fleet, h *schema.HostRecord) {
	if h.LastLoss == nil || f.now.Sub(h.LastLoss.Time) >= lossFor {
		return
	}
	d.warn(mendOfLoss(h), "host %s lost %d events, the last time %s ago", h.Host, h.Lost, age(f.now.Sub(h.LastLoss.Time)))
}

// mendOfLoss is what to do about the last loss of a host.
func mendOfLoss(h *schema.HostRecord) string {
	cause := ""
	for i := range h.Bridges {
		if b := &h.Bridges[i]; b.LastLoss != nil && b.LastLoss.Equal(h.LastLoss.Time) {
			cause = b.LossCause
		}
	}
	switch cause {
	case schema.LossNotListening:
		return "supervisord did not run the bridge for a while, as after `supervisorctl update` of its section: what happened is counted, the events are gone"
	case schema.LossFull:
		return "the spool was full: raise --spool-max of the bridge, or find out why NATS was away for so long"
	case schema.LossCorrupt:
		return "files of the spool were damaged or removed there: look at the disk, and who else writes into the spool's directory"
	}
	return "its supervisord needs buffer_size=65536 in the section of the bridge: supernats-bridge conf; `supernats tail --host " + quote(h.Host) + "` shows what fills it"
}

// sections reports what is wrong with the sections of a host's bridges.
func (d *doctor) sections(f *fleet, h *schema.HostRecord) {
	lives, _ := f.living(h)
	for _, l := range lives {
		var bridges []*schema.HostBridge
		for i := range h.Bridges {
			if b := &h.Bridges[i]; b.Boot == l.Boot {
				bridges = append(bridges, b)
			}
		}
		for _, b := range bridges {
			d.section(f, h, l, b)
		}
		d.together(h, bridges)
	}
}

// section reports on one of them by itself.
func (d *doctor) section(f *fleet, h *schema.HostRecord, l *schema.HostLife, b *schema.HostBridge) {
	where := "host " + h.Host + ": section " + b.Pool
	if b.Stopped != nil && l.Stopping == nil && l.SupervisorState != schema.SupervisorGone && !f.silent(h) {
		d.warn("supervisorctl start "+quote(b.Pool), "%s was stopped %s ago: nothing comes from it", where, age(f.now.Sub(b.Stopped.Time)))
	}
	if s := b.Section; s != nil && !reported(h, b, "section") {
		if s.BufferSize < leastBuffer {
			d.warn(conf+" (buffer_size=65536)", "%s has buffer_size=%d: supervisord throws events away that it has no room for", where, s.BufferSize)
		}
		if len(s.SamePriority) > 0 {
			d.warn(conf+" (an unusual priority)", "%s has the priority %d of %s: an event that one of them answers FAIL to is offered to the other again", where, s.Priority, some(s.SamePriority))
		}
	}
	if r := b.Reasons; r != nil && (r.Source == schema.ReasonsNone || r.Problem != "") && !reported(h, b, "reasons", "xmlrpc") {
		d.warn(cmp.Or(r.Fix, "give supervisord a log file: logfile=/var/log/supervisord.log, loglevel=info"),
			"%s: reasons of deaths cannot be had%s: %s", where, sometimes(r), cmp.Or(r.Problem, "it says no more"))
	}
	if b.Spool == schema.SpoolMemory && !reported(h, b, "disk-full", "spool-unusable", "spool-locked", "spool-removed") {
		d.warn("give it a directory that it may write to: --spool-dir", "%s has its spool in memory: what NATS does not have is lost when it ends", where)
	}
}

func sometimes(r *schema.Reasons) string {
	if r.Source == schema.ReasonsNone {
		return ""
	}
	return " always"
}

// reported reports whether a bridge has reported one of these troubles, which say the
// same.
func reported(h *schema.HostRecord, b *schema.HostBridge, causes ...string) bool {
	return slices.ContainsFunc(h.Troubles, func(t schema.HostTrouble) bool {
		return t.Boot == b.Boot && t.Pool == b.Pool && slices.Contains(causes, t.Cause)
	})
}

// together reports what all sections of one supervisord do not listen to, and which
// of them crowd each other out. It needs to know all of them.
func (d *doctor) together(h *schema.HostRecord, bridges []*schema.HostBridge) {
	var events []string
	for _, b := range bridges {
		if b.Section == nil {
			return
		}
		events = append(events, b.Section.Events...)
		if b.LastLoss != nil && b.LossCause == schema.LossBuffer && listens(b.Section.Events, schema.ProcessStateExited) &&
			(listens(b.Section.Events, schema.ProcessLogStdout) || listens(b.Section.Events, schema.ProcessLogStderr)) {
			d.warn("supernats-bridge conf prints two sections: one for PROCESS_LOG and PROCESS_COMMUNICATION, with a buffer of its own; then: supervisorctl update",
				"host %s: section %s has lost events, and gets PROCESS_LOG beside PROCESS_STATE: what programs write takes the crashes of others with it", h.Host, b.Pool)
		}
	}
	if len(bridges) == 0 {
		return
	}
	names := make([]string, 0, len(bridges))
	for _, b := range bridges {
		names = append(names, b.Pool)
	}
	if !listens(events, schema.ProcessStateExited) || !listens(events, schema.ProcessStateFatal) {
		d.fail(conf+" (events=PROCESS_STATE,…)", "host %s: events= of %s has no PROCESS_STATE: nobody is notified of crashes", h.Host, some(names))
	}
	said := slices.ContainsFunc(bridges, func(b *schema.HostBridge) bool { return reported(h, b, "section", "no-ticks") })
	if !listens(events, schema.Tick5) && !listens(events, schema.Tick60) && !said {
		d.warn(conf+" (events=TICK_5,…)", "host %s: events= of %s has neither TICK_5 nor TICK_60: a quiet host looks like one that is down", h.Host, some(names))
	}
}

func listens(events []string, name string) bool {
	return slices.ContainsFunc(events, func(e string) bool { return schema.Is(name, strings.ToUpper(strings.TrimSpace(e))) })
}
