package doctor

import (
	"context"
	"slices"
	"strings"

	"supernats/bridge/listeners"
	"supernats/bridge/section"
	"supernats/schema"
	"supernats/schema/checkup"
)

// checkEvents checks that all bridges together get every event.
func checkEvents(_ context.Context, h *host) {
	if len(h.bridges) == 0 {
		return
	}
	main := listeners.Main(h.bridges)

	var missing, output []string
	for _, family := range listeners.Families() {
		names := listeners.Unheard(h.bridges, family)
		switch {
		case len(names) == 0, family == "TICK":
		case listeners.IsOfOutput(family):
			output = append(output, family)
		default:
			missing = append(missing, nameMissing(family, names)...)
		}
	}

	if len(missing) > 0 {
		status, why := checkup.Warn, "nobody is shown them"
		if slices.ContainsFunc(missing, isDeath) {
			status, why = checkup.Fail, "nobody is notified of all crashes"
		}
		h.report.addAt(status, main.Section, "events", h.setEvents(main),
			"events= lacks %s: %s", strings.Join(missing, ", "), why)
	}
	for _, p := range section.Problems(h.conf, main.Pool) {
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
func (h *host) setEvents(b *listeners.Bridge) string {
	return h.fix.set(b.Section, "events", strings.Join(listeners.AllEvents(b, h.bridges), ","))
}
