// Package rivals finds other supervisords whose bridges publish under our host's name. That
// is fine as long as their processes have other names: two of the same name, under one host,
// overwrite each other's states. So the last message on each of our subjects is read now and
// then: it is from our boot, or from another one.
//
// A look before anything of ours is published shows what the others had on subjects that we
// are about to use. A boot is at work if it has published between two looks, and again
// before the next one. After only one of these it may be a listener that publishes what an
// earlier life left. A boot counts as gone when it has been silent for Silence.
//
// Under pressure: up to maxBoots boots are kept, with maxProcesses processes each. While
// nothing is shared the interval between looks grows to 5 minutes.
package rivals

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"supernats/schema"
)

const (
	firstLook    = 6 * time.Second // longer than from one TICK_5 to the next
	lookEvery    = 5 * time.Minute
	silenceLimit = 3 * time.Minute

	maxBoots     = 16
	maxProcesses = 100_000
	// maxNamed is how many processes are named in a text.
	maxNamed = 10

	// groupRemoved is the event after which a boot has no process of a group.
	groupRemoved = "PROCESS_GROUP_REMOVED"
)

// Reader calls each for the last message on each of our subjects, with its subject, its id
// without what was added to send it again, and its sequence in the stream.
type Reader func(ctx context.Context, each func(subject, id string, seq uint64)) error

// Self is how a bridge distinguishes what is its own from what is a rival's.
type Self struct {
	// BootOf returns the boot, a life of a supervisord, that an id belongs to; empty if it
	// belongs to none.
	BootOf func(id string) string
	// Boot is our own.
	Boot string
	// Processes returns the processes of our supervisord, group.process in tokens. If it is
	// nil, or returns nil, they are known only by their events.
	Processes func() map[string]bool
	// IsListener reports whether a group, in tokens, is that of a bridge: every supervisord
	// has one, usually of the same name. May be nil.
	IsListener func(group string) bool
}

// Config is what a Watch needs.
type Config struct {
	Self Self
	// Raise reports that processes are shared; may be nil. Clear reports that none are.
	Raise func(text, fix string)
	Clear func()
	Log   zerolog.Logger

	// First is the time from Begin to the first look, and to a look that confirms another;
	// 0 is 6 seconds. Silence is how long a boot is silent before it counts as gone; 0 is 3
	// minutes.
	First, Silence time.Duration
}

// Watch is what is known of the other boots. It belongs to the goroutine that publishes.
type Watch struct {
	cfg    Config
	wait   time.Duration    // until the next look
	due    <-chan time.Time // when to look again; nil before Begin
	looked bool             // LookBefore has looked
	boots  map[string]*boot // the others, by name
	// ours is the processes of which our boot has messages: group.process, in tokens.
	ours   map[string]bool
	raised bool // it is reported that processes are shared
}

// boot is one other boot.
type boot struct {
	seq       uint64            // of its last message
	fresh     time.Time         // when a look last found a new one
	times     int               // how many looks in a row found one, at most 2: then it is at work
	processes map[string]uint64 // the sequence of the last message of each
}

// New returns a watch that has not looked yet.
func New(cfg Config) *Watch {
	if cfg.First == 0 {
		cfg.First = firstLook
	}
	if cfg.Silence == 0 {
		cfg.Silence = silenceLimit
	}
	return &Watch{cfg: cfg, boots: map[string]*boot{}, ours: map[string]bool{}}
}

// Begin starts the timer of the first look, when nothing of an earlier life is left to
// publish. Further calls do nothing.
func (w *Watch) Begin() {
	if w.due == nil {
		w.wait = w.cfg.First
		w.due = time.After(w.wait)
	}
}

// Due receives a value when Look is due, from Begin on.
func (w *Watch) Due() <-chan time.Time { return w.due }

// LookBefore looks before anything is published, once. It takes a second at most.
func (w *Watch) LookBefore(ctx context.Context, read Reader) {
	if w.looked {
		return
	}
	w.looked = true

	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := w.readLast(ctx, read); err != nil {
		w.cfg.Log.Debug().Err(err).Msg("cannot check which other supervisords have the same host name")
	}
}

// Look reports processes that another boot has too, or that there are none any more. After
// an error the next look is due later.
func (w *Watch) Look(ctx context.Context, read Reader) {
	w.wait = min(2*w.wait, lookEvery)
	before := map[string]uint64{}
	for name, other := range w.boots {
		before[name] = other.seq
	}
	if err := w.readLast(ctx, read); err != nil {
		w.due = time.After(w.wait)
		w.cfg.Log.Debug().Err(err).Msg("cannot check whether another supervisord has the same host name")
		return
	}

	shared, of := w.compare(before, time.Now())
	if len(shared) > 0 {
		w.wait = min(w.wait, 10*w.cfg.First)
	}
	w.due = time.After(w.wait)
	w.report(shared, of)
}

// compare returns the processes that boots at work share with us, and one of those boots.
// before is the last sequence of each boot at the previous look.
func (w *Watch) compare(before map[string]uint64, now time.Time) (shared []string, of string) {
	for name, other := range w.boots {
		// What it had published when it was first seen does not show that it is at work.
		seq, known := before[name]
		if known && other.seq > seq {
			other.times = min(2, other.times+1)
			other.fresh = now
		} else if other.times < 2 {
			other.times = 0
		}

		if other.times == 2 && now.Sub(other.fresh) > w.cfg.Silence {
			delete(w.boots, name)
			continue
		}
		if !known || other.times == 1 {
			w.wait = w.cfg.First // to make sure
		}
		if both := w.sharedWith(other); other.times == 2 && len(both) > 0 {
			shared = append(shared, both...)
			of = name
		}
	}
	return shared, of
}

// readLast reads the last message on each of our subjects.
func (w *Watch) readLast(ctx context.Context, read Reader) error {
	removed := map[string]map[string]uint64{} // by boot and group: the sequence of the removal
	err := read(ctx, func(subject, id string, seq uint64) {
		name := w.cfg.Self.BootOf(id)
		if name == "" {
			return
		}
		_, group, process, event, ok := schema.SubjectEvent(subject)
		member := ""
		if ok && process != "-" {
			member = group + "." + process
		}

		if name == w.cfg.Self.Boot {
			if member != "" && len(w.ours) < maxProcesses {
				w.ours[member] = true
			}
			return
		}
		if other := w.bootOf(name); other != nil {
			other.note(member, seq)
			if event == groupRemoved {
				if removed[name] == nil {
					removed[name] = map[string]uint64{}
				}
				removed[name][group] = seq
			}
		}
	})

	// The stream still holds the last messages of a removed group's processes, from before
	// the removal.
	for name, groups := range removed {
		w.boots[name].removeBefore(groups)
	}
	return err
}

// bootOf returns what is known of another boot, nil if there are too many.
func (w *Watch) bootOf(name string) *boot {
	other := w.boots[name]
	if other == nil && len(w.boots) < maxBoots {
		other = &boot{processes: map[string]uint64{}}
		w.boots[name] = other
	}
	return other
}

// note notes a message of the boot; member is the process that it is about, empty if it is
// about none.
func (b *boot) note(member string, seq uint64) {
	b.seq = max(b.seq, seq)
	if member != "" && len(b.processes) < maxProcesses {
		b.processes[member] = max(b.processes[member], seq)
	}
}

// removeBefore drops the processes whose last message came before their group was removed.
func (b *boot) removeBefore(groups map[string]uint64) {
	for name, seq := range b.processes {
		group, _, _ := strings.Cut(name, ".")
		if seq < groups[group] {
			delete(b.processes, name)
		}
	}
}

// sharedWith returns the processes that both another boot and we have.
func (w *Watch) sharedWith(other *boot) []string {
	ours := w.ours
	if w.cfg.Self.Processes != nil {
		if table := w.cfg.Self.Processes(); table != nil {
			ours = table
		}
	}

	var both []string
	for name := range other.processes {
		group, _, _ := strings.Cut(name, ".")
		if isListener := w.cfg.Self.IsListener; isListener != nil && isListener(group) {
			continue
		}
		if ours[name] {
			both = append(both, name)
		}
	}
	return both
}

// report reports processes of the same names, or that there are none any more.
func (w *Watch) report(shared []string, of string) {
	if len(shared) == 0 {
		if w.raised {
			w.raised = false
			w.cfg.Clear()
		}
		return
	}

	text := w.textOf(shared, of)
	const fix = "give each supervisord its own --host, or their processes other names"
	if !w.raised && w.cfg.Raise == nil {
		w.cfg.Log.Error().Str("fix", fix).Msg(text)
	}
	w.raised = true
	if w.cfg.Raise != nil {
		w.cfg.Raise(text, fix)
	}
}

// textOf returns a text that names the shared processes and the other boot.
func (w *Watch) textOf(shared []string, of string) string {
	slices.Sort(shared)
	shared = slices.Compact(shared)
	names := make([]string, 0, maxNamed)
	for _, name := range shared[:min(len(shared), maxNamed)] {
		group, process, _ := strings.Cut(name, ".")
		names = append(names, plainName(group)+":"+plainName(process))
	}

	text := fmt.Sprintf("another supervisord (boot %s, ours is %s) publishes under this host's name "+
		"and has processes of the same names: %s", of, w.cfg.Self.Boot, strings.Join(names, ", "))
	if more := len(shared) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// plainName returns the name that a token stands for, or the token if it holds only a part of
// the name.
func plainName(token string) string {
	if name, err := schema.ParseToken(token); err == nil {
		return name
	}
	return token
}
