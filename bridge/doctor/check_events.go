package doctor

import (
	"context"
	"slices"
	"strings"

	"supernats/bridge/section"
	"supernats/schema"
)

// checkEvents checks that all bridges together get every event.
func checkEvents(_ context.Context, h *host) {
	if len(h.bridges) == 0 {
		return
	}
	main := h.mainBridge()

	var missing, output []string
	for _, family := range families() {
		names := h.unheard(family)
		switch {
		case len(names) == 0, family == "TICK":
		case family == "PROCESS_LOG", family == "PROCESS_COMMUNICATION":
			output = append(output, family)
		default:
			missing = append(missing, nameMissing(family, names)...)
		}
	}

	if len(missing) > 0 {
		status, why := Warn, "nobody is shown them"
		if slices.ContainsFunc(missing, isDeath) {
			status, why = Fail, "nobody is notified of all crashes"
		}
		h.report.addAt(status, main.Section, "events", h.setEvents(main),
			"events= lacks %s: %s", strings.Join(missing, ", "), why)
	}
	for _, p := range section.Problems(h.conf, main.pool) {
		if p.Option == "events" {
			h.report.warn(main.Section, p.Option, h.setEvents(main), "%s", p.Text)
		}
	}
	if len(output) > 0 && section.HasOutput(h.conf) {
		h.report.warn(main.Section, "events", "add the section supernats-logs to "+main.File+
			" as supernats-bridge conf prints it, then run: "+h.fix.apply(main.Section),
			"no section has %s, and a program has its output published: it goes nowhere", strings.Join(output, ", "))
	}
}

// mainBridge is the section for crashes, the first one if none is.
func (h *host) mainBridge() *bridgeSection {
	for _, b := range h.bridges {
		if b.listensTo(schema.ProcessStateExited) {
			return b
		}
	}
	return h.bridges[0]
}

// families are the abstract names but EVENT, and the event that belongs to none.
func families() []string { return append(schema.Families()[1:], schema.RemoteCommunication) }

// isDeath reports whether a name, or a family, is that of how a process ends.
func isDeath(name string) bool {
	return slices.ContainsFunc(
		[]string{schema.ProcessStateExited, schema.ProcessStateFatal, schema.ProcessStateBackoff},
		func(death string) bool { return schema.Is(death, name) })
}

// nameMissing returns the names of events of a family that are missing, or that of the
// family.
func nameMissing(family string, missing []string) []string {
	const few = 3
	whole := slices.ContainsFunc(schema.Names(), func(name string) bool {
		return schema.Is(name, family) && !slices.Contains(missing, name)
	})
	if !whole || len(missing) > few {
		return []string{family}
	}
	return missing
}

// setEvents gives the section for crashes all events that it should have, in place of what
// is missing or no event at all.
func (h *host) setEvents(b *bridgeSection) string {
	var list []string
	for _, family := range families() {
		isOutput := family == "PROCESS_LOG" || family == "PROCESS_COMMUNICATION"
		if !isOutput && family != "TICK" && len(h.unheard(family)) > 0 {
			list = append(list, family)
		}
	}

	add := func(name string) {
		covered := slices.ContainsFunc(list, func(e string) bool { return e == name || schema.Is(name, e) })
		if !covered {
			list = append(list, name)
		}
	}
	for _, name := range b.events {
		if isEvent(name) {
			add(name)
		} else {
			add(nearest(name))
		}
	}
	if ticks := h.unheard("TICK"); slices.Contains(ticks, schema.Tick5) && slices.Contains(ticks, schema.Tick60) {
		add("TICK")
	}
	return h.fix.set(b.Section, "events", strings.Join(list, ","))
}

// isEvent reports whether supervisor has an event, or a family of them, of a name.
func isEvent(name string) bool { return schema.Known(name) || slices.Contains(schema.Families(), name) }

// unheard are the events of a family that no bridge gets.
func (h *host) unheard(family string) (missing []string) {
	for _, name := range schema.Names() {
		heard := slices.ContainsFunc(h.bridges, func(b *bridgeSection) bool { return b.listensTo(name) })
		if schema.Is(name, family) && !heard {
			missing = append(missing, name)
		}
	}
	return missing
}
