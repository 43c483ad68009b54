package deaths

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"supernats/bridge/eventlistener"
	"supernats/bridge/look"
	"supernats/bridge/record"
	"supernats/schema"
)

// step is an event that is read some time after the one before it.
type step struct {
	after time.Duration
	state string
	pid   int
}

// noteIn notes the event in the lives, and returns what is known of a death.
func (s step) noteIn(l *lives, serial uint64) *record.Facts {
	if late, ok := s.tick(); ok {
		l.noteTick(schema.Tick5, late)
		return nil
	}
	h, payload := s.event(serial)
	return l.noteAccepted(h, payload, end{}, nil)
}

// tick returns how late a tick is read.
func (s step) tick() (late time.Duration, ok bool) {
	text, ok := strings.CutPrefix(s.state, "tick ")
	late, _ = time.ParseDuration(text)
	return late, ok
}

func (s step) event(serial uint64) (*eventlistener.Header, []byte) {
	payload := "processname:api_00 groupname:api from_state:STARTING"
	if s.pid != 0 {
		payload += fmt.Sprintf(" pid:%d", s.pid)
	}
	return &eventlistener.Header{Event: "PROCESS_STATE_" + s.state, Serial: serial}, []byte(payload)
}

// Where nothing but events is known, they say for how long a process ran, if they were
// read when they happened; what they cannot say is left out.
func TestRanByEvents(t *testing.T) {
	t.Parallel()
	const ms, s = time.Millisecond, time.Second
	starts := []step{{0, "STARTING", 0}, {s, "RUNNING", 7}}
	for _, tc := range []struct {
		name    string
		current bool
		steps   []step
		want    string // of each death
	}{
		{name: "an exit", current: true, steps: append(starts[:2:2], step{9*s + 250*ms, "EXITED", 7}), want: "10.25"},
		{
			name: "a stop", current: true,
			steps: append(starts[:2:2], step{s, "STOPPING", 7}, step{500 * ms, "STOPPED", 7}), want: "2.5",
		},
		{name: "out of control", current: true, steps: append(starts[:2:2], step{s, "UNKNOWN", 0}), want: "2"},
		{name: "a bridge that was not there", current: true, steps: []step{{s, "EXITED", 7}}, want: "-"},
		{
			name: "a restart, events wait", current: false, steps: append(starts[:2:2], step{3 * s, "EXITED", 7}),
			want: "-",
		},
		{
			name: "a restart, an old tick", current: false,
			steps: append(starts[:2:2], step{0, "tick 5s", 0}, step{s, "tick 0s", 0}, step{9 * s, "EXITED", 7}),
			want:  "-",
		},
		{
			name: "a restart, after an old tick", current: false,
			steps: append(append([]step{{0, "tick 5s", 0}}, starts...), step{s, "tick 0s", 0}, step{
				9 * s, "EXITED", 7,
			}),
			want: "-",
		},
		{
			name: "a restart, nothing has waited", current: false,
			steps: append(starts[:2:2], step{3 * s, "tick 1s", 0}, step{9 * s, "EXITED", 7}), want: "13",
		},
		{
			name: "a rush", current: true,
			steps: append(append(starts[:2:2], step{s, "tick 9s", 0}, step{s, "tick 0s", 0}),
				append(starts[:2:2], step{s, "tick 0s", 0}, step{9 * s, "EXITED", 7})...),
			want: "11",
		},
		{
			name: "a rush long after a start", current: true,
			steps: append(starts[:2:2], step{s, "tick 0s", 0}, step{9 * s, "tick 9s", 0}, step{s, "tick 0s", 0},
				step{9 * s, "EXITED", 7}),
			want: "21",
		},
		{
			name: "a death that has waited", current: true,
			steps: append(starts[:2:2], step{9 * s, "tick 20s", 0}, step{0, "EXITED", 7}), want: "-",
		},
		{
			name: "as late as short", current: true, steps: []step{{0, "STARTING", 0}, {900 * ms, "BACKOFF", 0}},
			want: "-",
		},
		{
			name: "given up", current: true,
			steps: []step{
				{0, "STARTING", 0}, {3 * s, "BACKOFF", 0}, {s, "STARTING", 0}, {4 * s, "BACKOFF", 0}, {0, "FATAL", 0},
			},
			want: "3 4 4",
		},
		{
			name: "given up later", current: true,
			steps: []step{{0, "STARTING", 0}, {3 * s, "BACKOFF", 0}, {0, "RUNNING", 7}, {0, "FATAL", 0}}, want: "3 -",
		},
		{
			name: "started twice", current: true,
			steps: append(append(starts[:2:2], step{3 * s, "EXITED", 7}), append(starts[:2:2], step{
				s, "EXITED", 7,
			})...),
			want: "4 2",
		},
		{
			name: "dead twice", current: true,
			steps: append(starts[:2:2], step{3 * s, "EXITED", 7}, step{3 * s, "EXITED", 7}), want: "4 -",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clock := 1000 * time.Second
			l := newLives(nil, tc.current)
			l.now = func() time.Duration { return clock }
			got := ""
			for i, step := range tc.steps {
				clock += step.after
				f := step.noteIn(l, uint64(i))
				switch {
				case f != nil && f.Ran != nil:
					got += fmt.Sprint(" ", *f.Ran)
				case step.state == "EXITED" || step.state == "STOPPED" || step.state == "UNKNOWN" ||
					step.state == "BACKOFF" || step.state == "FATAL":
					got += " -"
				}
			}
			if got != " "+tc.want {
				t.Errorf("got%s, want %s", got, tc.want)
			}
			if n := len(l.running) + len(l.ended); n > 0 && tc.name != "given up later" {
				t.Errorf("%d lives are left over", n)
			}
		})
	}
}

// What the kernel has reported of a death is right, whenever its event comes.
func TestRanByKernel(t *testing.T) {
	t.Parallel()
	l := newLives(nil, true)
	now := time.Now()
	for _, step := range []step{{0, "STARTING", 0}, {0, "RUNNING", 7}} {
		h, payload := step.event(1)
		l.noteAccepted(h, payload, end{}, nil)
	}
	h, payload := step{0, "EXITED", 7}.event(2)
	exit := &schema.Exit{Signal: "SIGKILL"}
	f := l.noteAccepted(h, payload, end{pid: 7, started: now.Add(-90 * time.Second), died: now.Add(-30 * time.Second)},
		&record.Facts{Exit: exit})
	if f.Ran == nil || *f.Ran != 60 || f.Exit != exit || f.Last != nil {
		t.Errorf("%+v", f)
	}
}

// Without the kernel's word, looks know when a process was started, before us too, and
// that it is gone, whenever its event comes.
func TestRanByLooks(t *testing.T) {
	t.Parallel()
	looks, err := look.New(look.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer looks.Close()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	before := time.Now()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	begun := time.Now()
	looks.Add(cmd.Process.Pid)
	go func() { defer close(done); _ = looks.Run(ctx) }()
	defer func() { stop(); <-done }()
	until := func(want int) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			looks.Soon()
			if n, _ := looks.Stats(); n == want {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("waited in vain for %d processes to be looked at", want)
			}
		}
	}
	until(1)
	time.Sleep(500 * time.Millisecond)

	died := time.Now()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	until(0)
	noticed := time.Now()
	l := newLives(looks, false) // the event may have waited
	l.now = func() time.Duration { return look.Now() + time.Hour }
	h, payload := step{0, "EXITED", cmd.Process.Pid}.event(2)
	f := l.noteAccepted(h, payload, end{}, nil)
	if f == nil || f.Ran == nil || f.Last == nil {
		t.Fatalf("%+v", f)
	}
	ran := time.Duration(*f.Ran * float64(time.Second))
	const tick = 15 * time.Millisecond // of /proc
	if ran < died.Sub(begun)-tick || ran > noticed.Sub(before)+tick || f.Last.RSS == 0 {
		t.Errorf("ran for %v, want between %v and %v; last %+v", ran, died.Sub(begun), noticed.Sub(before), f.Last)
	}
}

// BenchmarkNote is what the listener spends on lives: for an event of another kind, for
// the tick that asks for looks, and for a death of a process that was looked at.
func BenchmarkNote(b *testing.B) {
	looks, err := look.New(look.Config{Parent: os.Getpid()})
	if err != nil {
		b.Fatal(err)
	}
	defer looks.Close()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	l := newLives(looks, true)
	for _, bc := range []struct {
		name  string
		steps []step
	}{
		{name: "log"},
		{name: "tick", steps: []step{{0, "tick 0s", 0}}},
		{
			name:  "life",
			steps: []step{{0, "STARTING", 0}, {0, "RUNNING", cmd.Process.Pid}, {0, "EXITED", cmd.Process.Pid}},
		},
	} {
		b.Run(bc.name, func(b *testing.B) {
			type event struct {
				h       *eventlistener.Header
				payload []byte
				late    time.Duration // of a tick
			}
			events := []event{
				{
					h:       &eventlistener.Header{Event: "PROCESS_LOG_STDOUT"},
					payload: []byte("processname:a groupname:a pid:1 channel:stdout\nx"),
				},
			}
			if bc.steps != nil {
				events = nil
			}
			for i, s := range bc.steps {
				if late, ok := s.tick(); ok {
					events = append(events, event{late: late})
					continue
				}
				h, payload := s.event(uint64(i))
				events = append(events, event{h: h, payload: payload})
			}
			b.ReportAllocs()
			for b.Loop() {
				for _, e := range events {
					if e.h == nil {
						l.noteTick(schema.Tick5, e.late)
						continue
					}
					l.noteAccepted(e.h, e.payload, end{}, nil)
				}
			}
		})
	}
}
