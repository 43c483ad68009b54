package bridge

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"supernats/bridge/supervisord"
	"supernats/schema"
)

const (
	// fewBuffered is the buffer_size below which a start of some programs, or a
	// restart of the bridge, may overflow the buffer; supervisord's default is 10.
	fewBuffered = 1024
	// sectionWait is how long the record that says that we started waits for the
	// configuration, which is read from our start on.
	sectionWait = 20 * time.Millisecond
	// ticksWait is how long after the first event a tick has to have come where the
	// configuration does not say whether any will.
	ticksWait = 5 * time.Minute
)

// ownSection is our own section of supervisord's configuration, as far as that can be
// read: what is not known is not guessed.
type ownSection struct {
	done chan struct{} // closed when conf or err is there
	conf *supervisord.Configuration
	err  error
}

// read begins to read the configuration. It may lie on a file system that does not
// answer: nobody waits for it for long.
func (s *ownSection) read(pid func() int) {
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		path, err := supervisord.FindConfiguration(pid())
		if err == nil {
			s.conf, err = supervisord.ReadConfiguration(path)
		}
		s.err = err
	}()
}

// of returns what the record of a bridge says of the section of a pool.
func (s *ownSection) of(pool string) *schema.Section {
	if s.done == nil {
		return nil
	}
	select {
	case <-s.done:
	case <-time.After(sectionWait):
		return nil
	}
	data, _, _ := describeSection(s.conf, pool)
	return data
}

// sees reports whether our section is subscribed to an event; true if that is not
// known.
func (b *Bridge) sees(event string) bool {
	own := b.section.of(b.pool())
	return own == nil || slices.ContainsFunc(own.Events, func(name string) bool {
		return schema.Is(event, strings.ToUpper(name))
	})
}

// pool is the name of our section, empty where that is not known yet.
func (b *Bridge) pool() string {
	return b.life.pool()
}

// pool is the name of our section, empty where that is not known yet.
func (l *life) pool() string {
	if names := l.names.Load(); names != nil {
		return names.pool
	}
	return os.Getenv("SUPERVISOR_GROUP_NAME")
}

// checkSection reports what is wrong with our section, as soon as its name is known.
// If it cannot be read, it waits for the ticks.
func (b *Bridge) checkSection(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for b.pool() == "" {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}

	select {
	case <-ctx.Done():
		return
	case <-time.After(ticksWait):
	case <-b.section.done:
		data, text, fix := describeSection(b.section.conf, b.pool())
		if text != "" {
			b.troubles.Raise(troubleSection, text, fix)
		}
		if data != nil {
			b.lag.off.Store(!b.sees(schema.ProcessStateExited))
			return
		}
		b.log.Debug().Err(b.section.err).Str("pool", b.pool()).Msg("our section of supervisord's configuration cannot be read")
	}
	b.awaitTicks(ctx)
}

// awaitTicks reports that no tick comes: without them a broken pipe is not noticed.
func (b *Bridge) awaitTicks(ctx context.Context) {
	t := time.NewTicker(ticksWait / 60)
	defer t.Stop()
	var first time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		switch {
		case b.watch.period.Load() != 0:
			b.troubles.Clear(troubleNoTicks)
			return
		case b.watch.count.Load() == 0:
		case first.IsZero():
			first = time.Now()
		case time.Since(first) > ticksWait:
			b.troubles.Raise(troubleNoTicks, fmt.Sprintf("no TICK has come for %v: the bridge cannot notice that supervisord has stopped sending events to it", ticksWait), fixTicks)
		}
	}
}

const fixTicks = "add TICK_60 to events= in this section of supervisord's configuration, then run: supervisorctl update"

// describeSection returns a pool's section, what is wrong with it and the lines to
// write there; nil if it is not there or cannot be understood. The defaults are
// those of supervisord (options.py process_groups_from_parser).
func describeSection(c *supervisord.Configuration, pool string) (data *schema.Section, text, fix string) {
	if c == nil {
		return nil, "", ""
	}
	own := c.Section("eventlistener:" + pool)
	if own == nil {
		return nil, "", ""
	}
	buffer, known := optionInt(own, "buffer_size", 10)
	priority, alsoKnown := optionInt(own, "priority", -1)
	events, err := own.Value("events", "")
	if !known || !alsoKnown || err != nil {
		return nil, "", ""
	}
	data = &schema.Section{Events: []string{}, BufferSize: buffer, Priority: priority, File: own.File}
	for name := range strings.SplitSeq(events, ",") {
		if name = strings.TrimSpace(name); name != "" {
			data.Events = append(data.Events, name)
		}
	}
	var taken []int
	for _, other := range c.Sections {
		name, ok := strings.CutPrefix(other.Name, "eventlistener:")
		if !ok || other == own {
			continue
		}
		p, known := optionInt(other, "priority", -1)
		if known && p == priority {
			data.SamePriority = append(data.SamePriority, name)
		}
		taken = append(taken, p)
	}
	free := confPriority
	for slices.Contains(taken, free) {
		free--
	}
	text, fix = sectionProblems(own, data, free)
	return data, text, fix
}

// sectionProblems are those of a section, as one text, and the lines to write; free
// is a priority that no other listener has.
func sectionProblems(own *supervisord.ConfigSection, data *schema.Section, free int) (text, fix string) {
	var wrong, lines []string
	complain := func(line, format string, args ...any) {
		wrong, lines = append(wrong, fmt.Sprintf(format, args...)), append(lines, line)
	}
	if !hasTicks(data.Events) && !onlyOutput(data.Events) {
		complain("events="+strings.Join(append(slices.Clone(data.Events), "TICK_60"), ","),
			"events= has neither TICK_5 nor TICK_60, so the bridge cannot notice that supervisord has stopped sending events to it")
	}
	if data.BufferSize < fewBuffered {
		complain("buffer_size=65536", "buffer_size is %d, and when the buffer is full supervisord drops the oldest event", data.BufferSize)
	}
	if len(data.SamePriority) > 0 {
		complain(fmt.Sprintf("priority=%d", free), "priority %d is that of the listener %s too, so events that it answers with FAIL are offered to the bridge again",
			data.Priority, strings.Join(data.SamePriority, ", "))
	}
	if n, known := optionInt(own, "numprocs", 1); known && n > 1 {
		complain("numprocs=1", "numprocs is %d, so events are divided among that many bridges and lose their order", n)
	}
	if n, known := optionInt(own, "startsecs", 1); known && n > 0 {
		complain("startsecs=0", "startsecs is %d, and for as long after each start of the bridge supervisord sends it no events", n)
	}
	if v, err := own.Value("stdout_logfile", "AUTO"); err == nil && !slices.Contains([]string{"none", "off", "/dev/null"}, strings.ToLower(v)) {
		complain("stdout_logfile=NONE", "stdout_logfile is %s, where supervisord writes each answer of the bridge", v)
	}
	if len(wrong) == 0 {
		return "", ""
	}
	return fmt.Sprintf("[%s] of %s: %s", own.Name, own.File, strings.Join(wrong, "; ")),
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

// optionInt is an option of a section that is a number.
func optionInt(s *supervisord.ConfigSection, name string, preset int) (n int, known bool) {
	v, err := s.Value(name, strconv.Itoa(preset))
	if err != nil {
		return 0, false
	}
	n, err = strconv.Atoi(strings.TrimSpace(v))
	return n, err == nil
}
