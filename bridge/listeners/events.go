package listeners

import (
	"slices"
	"strings"

	"supernats/schema"
)

// ListensTo reports whether a section gets an event.
func (b *Bridge) ListensTo(name string) bool {
	return slices.ContainsFunc(b.Events, func(e string) bool { return schema.Is(name, e) })
}

// IsForOutput reports whether a section is for the output of programs alone.
func (b *Bridge) IsForOutput() bool {
	return !b.ListensTo(schema.ProcessStateExited) &&
		(b.ListensTo(schema.ProcessLogStdout) || b.ListensTo(schema.ProcessLogStderr))
}

// Publishes reports whether a section gets an event and does not skip it.
func (b *Bridge) Publishes(name string) bool {
	return b.ListensTo(name) && !slices.ContainsFunc(b.Flags.Skip, func(skip string) bool {
		return schema.Is(name, strings.ToUpper(skip))
	})
}

// Shared returns an event that two sections publish, "" if there is none.
func Shared(a, b *Bridge) string {
	for _, name := range schema.Names() {
		if a.Publishes(name) && b.Publishes(name) {
			return name
		}
	}
	return ""
}

// Main is the section for crashes, the first one if none is.
func Main(bridges []*Bridge) *Bridge {
	for _, b := range bridges {
		if b.ListensTo(schema.ProcessStateExited) {
			return b
		}
	}
	return bridges[0]
}

// Unheard are the events of a family that no bridge gets.
func Unheard(bridges []*Bridge, family string) (missing []string) {
	for _, name := range schema.Names() {
		heard := slices.ContainsFunc(bridges, func(b *Bridge) bool { return b.ListensTo(name) })
		if schema.Is(name, family) && !heard {
			missing = append(missing, name)
		}
	}
	return missing
}

// Families are the abstract names but EVENT, and the event that belongs to none.
func Families() []string { return append(schema.Families()[1:], schema.RemoteCommunication) }

// IsOfOutput reports whether a family is that of what programs print.
func IsOfOutput(family string) bool {
	return family == "PROCESS_LOG" || family == "PROCESS_COMMUNICATION"
}

// AllEvents are what a section of several should have for all of them to get every event, in
// place of what is missing or no event at all: nothing that it has is left out.
func AllEvents(b *Bridge, bridges []*Bridge) (list []string) {
	for _, family := range Families() {
		if !IsOfOutput(family) && family != "TICK" && len(Unheard(bridges, family)) > 0 {
			list = append(list, family)
		}
	}

	add := func(name string) {
		covered := slices.ContainsFunc(list, func(e string) bool { return e == name || schema.Is(name, e) })
		if !covered {
			list = append(list, name)
		}
	}
	for _, name := range b.Events {
		if !IsEvent(name) {
			name = nearest(name)
		}
		add(name)
	}
	ticks := Unheard(bridges, "TICK")
	if slices.Contains(ticks, schema.Tick5) && slices.Contains(ticks, schema.Tick60) {
		add("TICK")
	}
	return list
}

// IsEvent reports whether supervisor has an event, or a family of them, of a name.
func IsEvent(name string) bool { return schema.Known(name) || slices.Contains(schema.Families(), name) }

// nearest is the family that a misspelt name most likely means: the one with the longest
// common beginning.
func nearest(name string) string {
	best, length := "EVENT", 0
	for _, family := range schema.Families() {
		n := 0
		for n < len(family) && n < len(name) && family[n] == name[n] {
			n++
		}
		if n > length {
			best, length = family, n
		}
	}
	return best
}
