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
// nil if it is not there or cannot be understood. The defaults are those of supervisord
// (options.py process_groups_from_parser).
func describeSection(c *supervisordconf.Configuration, pool string) (data *schema.Section, text, fix string) {
	if c == nil {
		return nil, "", ""
	}
	own := c.Section("eventlistener:" + pool)
	if own == nil {
		return nil, "", ""
	}
	buffer, bufferKnown := optionInt(own, "buffer_size", 10)
	priority, priorityKnown := optionInt(own, "priority", -1)
	events, err := own.Value("events", "")
	if !bufferKnown || !priorityKnown || err != nil {
		return nil, "", ""
	}

	data = &schema.Section{Events: []string{}, BufferSize: buffer, Priority: priority, File: own.File}
	for name := range strings.SplitSeq(events, ",") {
		if name = strings.TrimSpace(name); name != "" {
			data.Events = append(data.Events, name)
		}
	}

	var free int
	data.SamePriority, free = otherPriorities(c, own, priority)
	text, fix = problemsOf(own, data, free)
	return data, text, fix
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
		p, known := optionInt(other, "priority", -1)
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

// problems are what is wrong with a section, and the lines to write there.
type problems struct{ texts, lines []string }

func (p *problems) addProblem(line, format string, args ...any) {
	p.texts = append(p.texts, fmt.Sprintf(format, args...))
	p.lines = append(p.lines, line)
}

// problemsOf are those of a section, as one text, and the lines to write; free is a
// priority that no other listener has.
func problemsOf(own *supervisordconf.Section, data *schema.Section, free int) (text, fix string) {
	var p problems
	if !hasTicks(data.Events) && !onlyOutput(data.Events) {
		p.addProblem("events="+strings.Join(append(slices.Clone(data.Events), "TICK_60"), ","),
			"events= has neither TICK_5 nor TICK_60, "+
				"so the bridge cannot notice that supervisord has stopped sending events to it")
	}
	if data.BufferSize < fewBuffered {
		p.addProblem("buffer_size=65536",
			"buffer_size is %d, and when the buffer is full supervisord drops the oldest event",
			data.BufferSize)
	}
	if len(data.SamePriority) > 0 {
		p.addProblem(fmt.Sprintf("priority=%d", free),
			"priority %d is that of the listener %s too, "+
				"so events that it answers with FAIL are offered to the bridge again",
			data.Priority, strings.Join(data.SamePriority, ", "))
	}

	if n, known := optionInt(own, "numprocs", 1); known && n > 1 {
		p.addProblem("numprocs=1",
			"numprocs is %d, so events are divided among that many bridges and lose their order", n)
	}
	if n, known := optionInt(own, "startsecs", 1); known && n > 0 {
		p.addProblem("startsecs=0",
			"startsecs is %d, and for as long after each start of the bridge supervisord sends it no events", n)
	}
	if v, err := own.Value("stdout_logfile", "AUTO"); err == nil && !isNoFile(v) {
		p.addProblem("stdout_logfile=NONE",
			"stdout_logfile is %s, where supervisord writes each answer of the bridge", v)
	}

	if len(p.texts) == 0 {
		return "", ""
	}
	return fmt.Sprintf("[%s] of %s: %s", own.Name, own.File, strings.Join(p.texts, "; ")),
		fmt.Sprintf("write %s there, then run: supervisorctl update", strings.Join(p.lines, " and "))
}

// isNoFile reports whether supervisord writes nothing to a log (datatypes.py
// logfile_name).
func isNoFile(logfile string) bool {
	return slices.Contains([]string{"none", "off", "/dev/null"}, strings.ToLower(logfile))
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

// optionInt is an option of a section that is a number.
func optionInt(s *supervisordconf.Section, name string, preset int) (n int, known bool) {
	v, err := s.Value(name, strconv.Itoa(preset))
	if err != nil {
		return 0, false
	}
	n, err = strconv.Atoi(strings.TrimSpace(v))
	return n, err == nil
}
