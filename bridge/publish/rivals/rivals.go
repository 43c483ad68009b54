// Package rivals finds other supervisords whose bridges publish under our host's name.
// That is fine as long as their processes are others: two of the same name, beneath one
// host, overwrite each other's states. So the last message on each of our subjects is
// read now and then: it is of our boot, or of another one that is at work too.
//
// A look before anything of ours is published shows what the others had on subjects that
// we are about to use. A boot that publishes from one look to the next, and again to the
// one after, is at work: publishing once, it may be a listener that publishes what was
// left of an earlier life. It counts as gone when it has been silent for Silence.
//
// Under pressure: maxBoots boots are kept, with maxProcesses processes each, and a look is
// due every 5 minutes at most where nothing is shared.
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

// Reader calls each for the last message on each of our subjects: its subject, its id, of
// which what was added to send it again is cut off, and its sequence in the stream.
type Reader func(ctx context.Context, each func(subject, id string, seq uint64)) error

// Config is what a Watch needs.
type Config struct {
	// Boot returns which life of a supervisord an id is of, empty if it is of none; Ours
	// is our own.
	Boot func(id string) string
	Ours string
	// Processes are those of our supervisord, group.process in tokens; nil, also as its
	// result, where they are not known but by their events.
	Processes func() map[string]bool
	// Listener reports whether a group, in tokens, is that of a bridge: every supervisord
	// has one, mostly of the same name. May be nil.
	Listener func(group string) bool
	// Raise reports that processes are shared, and may be nil; Clear, that none are.
	Raise func(text, fix string)
	Clear func()
	Log   zerolog.Logger

	// First is how long it takes until the first look, and to one that makes sure;
	// Silence, after which time a boot counts as gone. 0 is 6 seconds, and 3 minutes.
	First, Silence time.Duration
}

// Watch is what is known of the other boots. It belongs to the goroutine that publishes.
type Watch struct {
	cfg    Config
	wait   time.Duration    // until the next look
	due    <-chan time.Time // when to look again; nil before Begin
	looked bool             // before anything was published
	boots  map[string]*boot // the others
	// ours are the processes that our boot has had messages of: group.process, in tokens.
	ours   map[string]bool
	raised bool
}

// boot is one other boot.
type boot struct {
	seq       uint64            // of its last message
	fresh     time.Time         // when it had a new one
	times     int               // how many looks in a row found one, at most 2
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

// Begin makes the first look due, once: nothing of an earlier life is left to publish.
func (w *Watch) Begin() {
	if w.due == nil {
		w.wait = w.cfg.First
		w.due = time.After(w.wait)
	}
}

// Due gives a value when it is time for Look, from Begin on.
func (w *Watch) Due() <-chan time.Time { return w.due }

// LookBefore looks before anything is published. It is done once, and publishing does not
// wait for it for long.
func (w *Watch) LookBefore(ctx context.Context, read Reader) {
	if w.looked {
		return
	}
	w.looked = true

	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := w.readLast(ctx, read); err != nil {
		w.cfg.Log.Debug().Err(err).Msg("cannot look which other supervisords have the same host name")
	}
}

// Look reports processes that another boot has too, and the end of that. An error is no
// obstacle to publishing: the next look is due later.
func (w *Watch) Look(ctx context.Context, read Reader) {
	w.wait = min(2*w.wait, lookEvery)
	before := map[string]uint64{}
	for name, other := range w.boots {
		before[name] = other.seq
	}
	if err := w.readLast(ctx, read); err != nil {
		w.due = time.After(w.wait)
		w.cfg.Log.Debug().Err(err).Msg("cannot look whether another supervisord has the same host name")
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
// before has the last sequence of each boot at the look before.
func (w *Watch) compare(before map[string]uint64, now time.Time) (shared []string, of string) {
	for name, other := range w.boots {
		// What it had when it was first seen does not show whether it is at work.
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
	removed := map[string]map[string]uint64{} // the sequence at which a boot lost a group
	err := read(ctx, func(subject, id string, seq uint64) {
		name := w.cfg.Boot(id)
		_, group, process, event, ok := schema.SubjectEvent(subject)
		member := group + "." + process
		isProcess := ok && process != "-"
		switch {
		case name == "":
		case name == w.cfg.Ours:
			if isProcess && len(w.ours) < maxProcesses {
				w.ours[member] = true
			}
		default:
			other := w.bootOf(name)
			if other == nil {
				return
			}
			other.seq = max(other.seq, seq)
			if isProcess && len(other.processes) < maxProcesses {
				other.processes[member] = max(other.processes[member], seq)
			}
			if event == groupRemoved {
				if removed[name] == nil {
					removed[name] = map[string]uint64{}
				}
				removed[name][group] = seq
			}
		}
	})

	// The processes of a removed group still have their last messages in the stream, from
	// before the removal.
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

// removeBefore drops the processes whose last message came before their group was removed.
func (b *boot) removeBefore(groups map[string]uint64) {
	for name, seq := range b.processes {
		group, _, _ := strings.Cut(name, ".")
		if seq < groups[group] {
			delete(b.processes, name)
		}
	}
}

// sharedWith returns the processes that another boot has and we have.
func (w *Watch) sharedWith(other *boot) []string {
	ours := w.ours
	if w.cfg.Processes != nil {
		if table := w.cfg.Processes(); table != nil {
			ours = table
		}
	}

	var both []string
	for name := range other.processes {
		group, _, _ := strings.Cut(name, ".")
		if listener := w.cfg.Listener; listener != nil && listener(group) {
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

// textOf says which processes are shared, and with which boot.
func (w *Watch) textOf(shared []string, of string) string {
	slices.Sort(shared)
	shared = slices.Compact(shared)
	names := make([]string, 0, maxNamed)
	for _, name := range shared[:min(len(shared), maxNamed)] {
		group, process, _ := strings.Cut(name, ".")
		names = append(names, plainName(group)+":"+plainName(process))
	}

	text := fmt.Sprintf("another supervisord (boot %s, ours is %s) publishes under this host's name "+
		"and has processes of the same names: %s", of, w.cfg.Ours, strings.Join(names, ", "))
	if more := len(shared) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// plainName is the name of a token, or the token where only a part of the name is in it.
func plainName(token string) string {
	if name, err := schema.ParseToken(token); err == nil {
		return name
	}
	return token
}
