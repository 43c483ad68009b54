package doctor

import (
	"cmp"
	"slices"
	"strings"

	"supernats/consumer/wording"
	"supernats/schema"
)

const (
	// leastBuffer is the smallest buffer_size that holds the events of a start.
	leastBuffer = 1024
	// confCommand makes a section of the bridge that loses nothing.
	confCommand = "supernats-bridge conf prints a section that loses nothing; then: supervisorctl update"
)

// addSections reports what is wrong with the sections of a host's bridges.
func (h *hostReport) addSections(host *schema.HostRecord) {
	lives, _ := h.fleet.Living(host)
	for _, l := range lives {
		var bridges []*schema.HostBridge
		for i := range host.Bridges {
			if b := &host.Bridges[i]; b.Boot == l.Boot {
				bridges = append(bridges, b)
			}
		}

		for _, b := range bridges {
			h.addSection(host, l, b)
		}
		h.addCrowding(host, bridges)
		h.addMissingEvents(host, bridges)
	}
}

// addSection reports what is wrong with one section by itself. What its bridge has
// reported is not said twice.
func (h *hostReport) addSection(host *schema.HostRecord, l *schema.HostLife, b *schema.HostBridge) {
	where := "host " + host.Host + ": section " + b.Pool
	if b.Stopped != nil && l.Stopping == nil && l.SupervisorState != schema.SupervisorGone && !h.fleet.IsSilent(host) {
		h.report.Warn("supervisorctl start "+wording.ShellQuote(b.Pool),
			"%s was stopped %s ago: nothing comes from it", where, h.age(*b.Stopped))
	}

	if s := b.Section; s != nil && !hasReported(host, b, "section") {
		if s.BufferSize < leastBuffer {
			h.report.Warn(confCommand+" (buffer_size=65536)",
				"%s has buffer_size=%d: supervisord drops events that it has no room for", where, s.BufferSize)
		}
		if len(s.SamePriority) > 0 {
			h.report.Warn(confCommand+" (an unusual priority)",
				"%s has the priority %d of %s: an event that one of them answers FAIL to is offered to the other again",
				where, s.Priority, firstNames(s.SamePriority))
		}
	}

	if reasons := b.Reasons; reasons != nil && !hasReported(host, b, "reasons", "xmlrpc") {
		h.addReasons(where, reasons)
	}
	known := hasReported(host, b, "disk-full", "spool-unusable", "spool-locked", "spool-removed")
	if b.Spool == schema.SpoolMemory && !known {
		h.report.Warn("give it a directory that it may write to: --spool-dir",
			"%s has its spool in memory: what NATS does not have is lost when it ends", where)
	}
}

// addReasons reports that a bridge cannot find out why processes die, or not always.
func (h *hostReport) addReasons(where string, r *schema.Reasons) {
	available := "not always available"
	switch {
	case r.Source == schema.ReasonsNone:
		available = "not available"
	case r.Problem == "":
		return
	}
	h.report.Warn(cmp.Or(r.Fix, "give supervisord a log file: logfile=/var/log/supervisord.log, loglevel=info"),
		"%s: reasons of deaths are %s: %s", where, available, cmp.Or(r.Problem, "it does not say why"))
}

// hasReported reports whether a bridge has reported one of these troubles.
func hasReported(host *schema.HostRecord, b *schema.HostBridge, causes ...string) bool {
	return slices.ContainsFunc(host.Troubles, func(t schema.HostTrouble) bool {
		return t.Boot == b.Boot && t.Pool == b.Pool && slices.Contains(causes, t.Cause)
	})
}

// addCrowding reports sections of one supervisord that have lost events because what
// programs write fills their buffer.
func (h *hostReport) addCrowding(host *schema.HostRecord, bridges []*schema.HostBridge) {
	for _, b := range bridges {
		if b.Section == nil {
			return
		}
		events := b.Section.Events
		getsLogs := listensTo(events, schema.ProcessLogStdout) || listensTo(events, schema.ProcessLogStderr)
		overflowed := b.LastLoss != nil && b.LossCause == schema.LossBuffer
		if overflowed && getsLogs && listensTo(events, schema.ProcessStateExited) {
			h.report.Warn("supernats-bridge conf prints two sections: one for PROCESS_LOG and "+
				"PROCESS_COMMUNICATION, with a buffer of its own; then: supervisorctl update",
				"host %s: section %s has lost events, and gets PROCESS_LOG beside PROCESS_STATE: "+
					"what programs write takes the crashes of others with it", host.Host, b.Pool)
		}
	}
}

// addMissingEvents reports what no section of one supervisord listens to. It needs to know
// all of them.
func (h *hostReport) addMissingEvents(host *schema.HostRecord, bridges []*schema.HostBridge) {
	var events, names []string
	for _, b := range bridges {
		if b.Section == nil {
			return
		}
		events = append(events, b.Section.Events...)
		names = append(names, b.Pool)
	}
	if len(bridges) == 0 {
		return
	}

	if !listensTo(events, schema.ProcessStateExited) || !listensTo(events, schema.ProcessStateFatal) {
		h.report.Fail(confCommand+" (events=PROCESS_STATE,…)",
			"host %s: events= of %s has no PROCESS_STATE: nobody is notified of crashes", host.Host, firstNames(names))
	}
	reported := slices.ContainsFunc(bridges, func(b *schema.HostBridge) bool {
		return hasReported(host, b, "section", "no-ticks")
	})
	if !listensTo(events, schema.Tick5) && !listensTo(events, schema.Tick60) && !reported {
		h.report.Warn(confCommand+" (events=TICK_5,…)",
			"host %s: events= of %s has neither TICK_5 nor TICK_60: a quiet host looks like one that is down",
			host.Host, firstNames(names))
	}
}

// listensTo reports whether events= of a section contains an event, by its name or by an
// abstract one.
func listensTo(events []string, name string) bool {
	return slices.ContainsFunc(events, func(e string) bool {
		return schema.Is(name, strings.ToUpper(strings.TrimSpace(e)))
	})
}
