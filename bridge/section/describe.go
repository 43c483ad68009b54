package section

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"supernats/bridge/supervisordconf"
	"supernats/schema"
)

// fewBuffered is the buffer_size below which a start of some programs, or a restart of the
// bridge, may overflow the buffer; supervisord's default is 10.
const fewBuffered = 1024

// describeSection returns a pool's section, what is wrong with it and the lines to write there;
// nil if it is not there or cannot be understood.
func describeSection(c *supervisordconf.Configuration, pool string) (data *schema.Section, text, fix string) {
	data, own, free := readSection(c, pool)
	if data == nil {
		return nil, "", ""
	}
	text, fix = joinProblems(own, problemsOf(own, data, free))
	return data, text, fix
}

// readSection reads the section of a pool, nil if it is not there or cannot be understood,
// and a priority that no other listener has. The defaults are those of supervisord
// (options.py process_groups_from_parser).
func readSection(c *supervisordconf.Configuration, pool string) (
	data *schema.Section, own *supervisordconf.Section, free int,
) {
	if c == nil {
		return nil, nil, 0
	}
	own = c.Section("eventlistener:" + pool)
	if own == nil {
		return nil, nil, 0
	}

	buffer, bufferKnown := own.Int("buffer_size", 10)
	priority, priorityKnown := own.Int("priority", -1)
	events, err := own.Value("events", "")
	if !bufferKnown || !priorityKnown || err != nil {
		return nil, nil, 0
	}

	data = &schema.Section{Events: []string{}, BufferSize: buffer, Priority: priority, File: own.File}
	for name := range strings.SplitSeq(events, ",") {
		if name = strings.TrimSpace(name); name != "" {
			data.Events = append(data.Events, name)
		}
	}
	data.SamePriority, free = otherPriorities(c, own, priority)
	return data, own, free
}

// otherPriorities returns the other listeners that have a priority, and the best one that none
// of them has.
func otherPriorities(c *supervisordconf.Configuration, own *supervisordconf.Section, priority int) (
	same []string, free int,
) {
	var taken []int
	for _, other := range c.Sections {
		name, ok := strings.CutPrefix(other.Name, "eventlistener:")
		if !ok || other == own {
			continue
		}
		p, known := other.Int("priority", -1)
		if known && p == priority {
			same = append(same, name)
		}
		taken = append(taken, p)
	}

	free = mainPriority
	for slices.Contains(taken, free) {
		free--
	}
	return same, free
}

// Problem is what is wrong with a section.
type Problem struct {
	// Option is the name of the one to be changed, Value what it should be.
	Option, Value string
	Text          string
}

// Problems returns what is wrong with the section of a pool; none if it is not there or
// cannot be understood.
func Problems(c *supervisordconf.Configuration, pool string) []Problem {
	data, own, free := readSection(c, pool)
	if data == nil {
		return nil
	}
	return problemsOf(own, data, free)
}

// problemsOf are those of a section; free is a priority that no other listener has.
func problemsOf(own *supervisordconf.Section, data *schema.Section, free int) (found []Problem) {
	add := func(option, value, format string, args ...any) {
		found = append(found, Problem{option, value, fmt.Sprintf(format, args...)})
	}

	if !hasTicks(data.Events) && !onlyOutput(data.Events) {
		add("events", strings.Join(append(slices.Clone(data.Events), "TICK_60"), ","),
			"events= has neither TICK_5 nor TICK_60, "+
				"so the bridge cannot notice that supervisord has stopped sending events to it")
	}
	if data.BufferSize < fewBuffered {
		add("buffer_size", strconv.Itoa(mainBuffer),
			"buffer_size is %d, and when the buffer is full supervisord drops the oldest event",
			data.BufferSize)
	}
	if len(data.SamePriority) > 0 {
		add("priority", strconv.Itoa(free),
			"priority %d is that of the listener %s too, "+
				"so events that it answers with FAIL are offered to the bridge again",
			data.Priority, strings.Join(data.SamePriority, ", "))
	}
	if n, known := own.Int("numprocs", 1); known && n > 1 {
		add("numprocs", "1",
			"numprocs is %d, so events are divided among that many bridges and lose their order", n)
	}
	if n, known := own.Int("startsecs", 1); known && n > 0 {
		add("startsecs", "0",
			"startsecs is %d, and for as long after each start of the bridge supervisord sends it no events", n)
	}
	v, err := own.Value("stdout_logfile", "AUTO")
	if err == nil && supervisordconf.TargetOf(v) != supervisordconf.LogNone {
		add("stdout_logfile", "NONE",
			"stdout_logfile is %s, where supervisord writes each answer of the bridge", v)
	}
	return found
}

// joinProblems returns the problems of a section as one text, and the lines to write.
func joinProblems(own *supervisordconf.Section, found []Problem) (text, fix string) {
	if len(found) == 0 {
		return "", ""
	}
	var texts, lines []string
	for _, p := range found {
		texts = append(texts, p.Text)
		lines = append(lines, p.Option+"="+p.Value)
	}
	return fmt.Sprintf("[%s] of %s: %s", own.Name, own.File, strings.Join(texts, "; ")),
		fmt.Sprintf("write %s there, then run: supervisorctl update", strings.Join(lines, " and "))
}

// hasTicks reports whether events= holds a tick that shows soon that the pipe is
// broken.
func hasTicks(events []string) bool {
	return slices.ContainsFunc(events, func(name string) bool {
		name = strings.ToUpper(name)
		return schema.Is(schema.Tick5, name) || schema.Is(schema.Tick60, name)
	})
}

// onlyOutput reports whether events= holds the output of programs and a tick: that a
// pipe for it is broken may be noticed later.
func onlyOutput(events []string) bool {
	ticks := false
	for _, name := range events {
		name = strings.ToUpper(name)
		switch {
		case schema.Is(name, "TICK"):
			ticks = true
		case !schema.Is(name, "PROCESS_LOG") && !schema.Is(name, "PROCESS_COMMUNICATION"):
			return false
		}
	}
	return ticks
}
