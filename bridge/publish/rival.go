package publish

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
)

// A rival is another supervisord whose bridge publishes under our host's name. That is
// fine as long as its processes are others: two of the same name, beneath one host,
// overwrite each other's states. So it is looked for now and then: the last message on
// each of our subjects is of our boot, or of another one that is at work too.
//
// A look before anything of ours is published shows what the others had on subjects
// that we are about to use. A boot that publishes from one look to the next, and again
// to the one after, is at work: once it may be a listener that publishes what was left
// of an earlier life. It counts as gone when it has been silent for rivalSilence.
const (
	rivalFirst   = 6 * time.Second // longer than from one TICK_5 to the next
	rivalEvery   = 5 * time.Minute
	rivalSilence = 3 * time.Minute
	// maxRivals bounds how many boots are kept, maxRivalProcesses their processes.
	maxRivals         = 16
	maxRivalProcesses = 100_000
	// maxNamed is how many processes are named.
	maxNamed = 10
)

// rivals is what is known of them.
type rivals struct {
	first   time.Duration    // how long until the first look, and to one that makes sure
	wait    time.Duration    // until the next one
	silence time.Duration    // rivalSilence
	due     <-chan time.Time // when to look again; nil before anything was published
	looked  bool             // before anything was published
	boots   map[string]*rival
	// ours are the processes that our boot has had messages of: group.process, in tokens.
	ours   map[string]bool
	raised bool
}

// rival is one other boot.
type rival struct {
	seq       uint64            // of its last message
	fresh     time.Time         // when it had a new one
	times     int               // how many looks in a row found one, at most 2
	processes map[string]uint64 // the sequence of the last message of each
}

// acknowledged begins to look for rivals when nothing of an earlier life is left.
func (s *session) acknowledged() {
	if s.rivals.due == nil && s.left <= 0 && s.cfg.Fence != nil {
		s.rivals.wait = s.rivals.first
		s.rivals.due = time.After(s.rivals.wait)
	}
}

// lookBefore looks before anything is published. It is done once, and publishing does
// not wait for it for long.
func (s *session) lookBefore(ctx context.Context) {
	if s.cfg.Fence == nil || s.rivals.looked {
		return
	}
	s.rivals.looked = true
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := s.look(ctx); err != nil {
		s.cfg.Log.Debug().Err(err).Msg("cannot look which other supervisords have the same host name")
	}
}

// lookForRivals reports processes that another boot has too, and the end of that. An
// error is no obstacle to publishing: it looks again later.
func (s *session) lookForRivals(ctx context.Context) {
	r := &s.rivals
	r.wait = min(2*r.wait, rivalEvery)
	before := map[string]uint64{}
	for boot, other := range r.boots {
		before[boot] = other.seq
	}
	if err := s.look(ctx); err != nil {
		r.due = time.After(r.wait)
		s.cfg.Log.Debug().Err(err).Msg("cannot look whether another supervisord has the same host name")
		return
	}

	now := time.Now()
	var shared []string
	var of string
	for boot, other := range r.boots {
		// What it had when it was first seen says nothing of whether it is at work.
		seq, known := before[boot]
		if known && other.seq > seq {
			other.times, other.fresh = min(2, other.times+1), now
		} else if other.times < 2 {
			other.times = 0
		}
		if other.times == 2 && now.Sub(other.fresh) > r.silence {
			delete(r.boots, boot)
			continue
		}
		if !known || other.times == 1 {
			r.wait = r.first // to make sure
		}
		if both := s.sharedWith(other); other.times == 2 && len(both) > 0 {
			shared, of = append(shared, both...), boot
		}
	}
	if len(shared) > 0 {
		r.wait = min(r.wait, 10*r.first)
	}
	r.due = time.After(r.wait)
	s.sayRivals(shared, of)
}

// look reads the last message on each of our subjects.
func (s *session) look(ctx context.Context) error {
	r := &s.rivals
	if r.boots == nil {
		r.boots, r.ours = map[string]*rival{}, map[string]bool{}
	}
	removed := map[string]map[string]uint64{} // when a boot lost a group
	err := s.read(ctx, jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy}, 0, false,
		func(m jetstream.Msg, seq uint64) {
			boot := s.cfg.Fence.Boot(withoutAgain(m.Headers().Get(nats.MsgIdHdr)))
			_, group, process, event, ok := schema.SubjectEvent(m.Subject())
			name := group + "." + process
			switch {
			case boot == "":
			case boot == s.cfg.Fence.Ours:
				if ok && process != "-" && len(r.ours) < maxRivalProcesses {
					r.ours[name] = true
				}
			default:
				other := r.boots[boot]
				if other == nil && len(r.boots) < maxRivals {
					other = &rival{processes: map[string]uint64{}}
					r.boots[boot] = other
				}
				if other == nil {
					return
				}
				other.seq = max(other.seq, seq)
				if ok && process != "-" && len(other.processes) < maxRivalProcesses {
					other.processes[name] = max(other.processes[name], seq)
				}
				if event == "PROCESS_GROUP_REMOVED" {
					if removed[boot] == nil {
						removed[boot] = map[string]uint64{}
					}
					removed[boot][group] = seq
				}
			}
		})
	for boot, groups := range removed {
		for name, seq := range r.boots[boot].processes {
			group, _, _ := strings.Cut(name, ".")
			if seq < groups[group] {
				delete(r.boots[boot].processes, name)
			}
		}
	}
	return err
}

// sharedWith returns the processes that a rival has and we have.
func (s *session) sharedWith(other *rival) []string {
	ours := s.rivals.ours
	if s.cfg.Fence.Processes != nil {
		if table := s.cfg.Fence.Processes(); table != nil {
			ours = table
		}
	}
	var both []string
	for name := range other.processes {
		group, _, _ := strings.Cut(name, ".")
		if listener := s.cfg.Fence.Listener; listener != nil && listener(group) {
			continue
		}
		if ours[name] {
			both = append(both, name)
		}
	}
	return both
}

// sayRivals reports processes of the same names, or that there are none any more.
func (s *session) sayRivals(shared []string, of string) {
	r := &s.rivals
	if len(shared) == 0 {
		if r.raised {
			r.raised = false
			s.clear(CauseConflict)
		}
		return
	}

	slices.Sort(shared)
	shared = slices.Compact(shared)
	names := make([]string, 0, maxNamed)
	for _, name := range shared[:min(len(shared), maxNamed)] {
		group, process, _ := strings.Cut(name, ".")
		names = append(names, plain(group)+":"+plain(process))
	}
	text := fmt.Sprintf("another supervisord (boot %s, ours is %s) publishes under this host's name and has processes of the same names: %s",
		of, s.cfg.Fence.Ours, strings.Join(names, ", "))
	if more := len(shared) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	const fix = "give each supervisord its own --host, or their processes other names"
	if !r.raised && s.cfg.Raise == nil {
		s.cfg.Log.Error().Str("fix", fix).Msg(text)
	}
	r.raised = true
	s.raise(CauseConflict, text, fix)
}

// plain is the name of a token, or the token where only a part of the name is in it.
func plain(token string) string {
	if name, err := schema.ParseToken(token); err == nil {
		return name
	}
	return token
}
