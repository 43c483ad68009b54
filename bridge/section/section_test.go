package section

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"supernats/bridge/supervisordconf"
	"supernats/bridge/trouble"
	"supernats/schema"
)

func configuration(t *testing.T, sections string) *supervisordconf.Configuration {
	t.Helper()
	file := filepath.Join(t.TempDir(), "supervisord.conf")
	if err := os.WriteFile(file, []byte("[supervisord]\n"+sections), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := supervisordconf.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What is wrong with a section, and the lines to write; of the texts, the words.
func TestSectionProblems(t *testing.T) {
	const good = "\nbuffer_size=65536\nstartsecs=0\nstdout_logfile=NONE\npriority=-17\n"
	for _, tc := range []struct {
		name, section string
		want          *schema.Section
		text, fix     []string
	}{
		{name: "no such section", section: "[eventlistener:other]\nevents=EVENT\n"},
		{
			name:    "not understood",
			section: "[eventlistener:supernats]\nevents=EVENT\nbuffer_size=%(ENV_NO_SUCH_VARIABLE)s\n",
		},
		{
			name: "all defaults", section: "[eventlistener:supernats]\nevents=PROCESS_STATE\n",
			want: &schema.Section{Events: []string{"PROCESS_STATE"}, BufferSize: 10, Priority: -1},
			text: []string{
				"buffer_size is 10", "neither TICK_5 nor TICK_60", "startsecs is 1", "stdout_logfile is AUTO",
			},
			fix: []string{
				"events=PROCESS_STATE,TICK_60", "buffer_size=65536", "startsecs=0", "stdout_logfile=NONE",
				"supervisorctl update",
			},
		},
		{
			name: "the hourly tick is too rare", section: "[eventlistener:supernats]\nevents=PROCESS_STATE,TICK_3600" +
				good,
			want: &schema.Section{Events: []string{"PROCESS_STATE", "TICK_3600"}, BufferSize: 65536, Priority: -17},
			text: []string{"neither TICK_5 nor TICK_60"}, fix: []string{"events=PROCESS_STATE,TICK_3600,TICK_60 "},
		},
		{
			name: "default priority of a listener", section: "[eventlistener:supernats]\nevents=EVENT" +
				strings.ReplaceAll(good, "priority=-17", "") + "[eventlistener:mail]\nevents=TICK_60\n",
			want: &schema.Section{
				Events: []string{"EVENT"}, BufferSize: 65536, Priority: -1, SamePriority: []string{"mail"},
			},
			text: []string{"priority -1 is that of the listener mail"}, fix: []string{"priority=-17 "},
		},
		{
			name: "priority taken", section: "[eventlistener:supernats]\nevents=tick_5, process_state" + good +
				"[eventlistener:a]\nevents=EVENT\npriority=-17\n[eventlistener:b]\nevents=EVENT\npriority=-18\n[program:c]\npriority=-17\n",
			want: &schema.Section{
				Events: []string{"tick_5", "process_state"}, BufferSize: 65536, Priority: -17,
				SamePriority: []string{"a"},
			},
			text: []string{"priority -17"}, fix: []string{"priority=-19 "},
		},
		{
			name: "divided", section: "[eventlistener:supernats]\nevents=TICK\nnumprocs=3\nprocess_name=%(process_num)d" + good,
			want: &schema.Section{Events: []string{"TICK"}, BufferSize: 65536, Priority: -17},
			text: []string{"numprocs is 3"}, fix: []string{"numprocs=1 "},
		},
		{
			name: "as it should be", section: "[eventlistener:supernats]\nevents=EVENT" + good +
				"[eventlistener:b]\nevents=EVENT\n",
			want: &schema.Section{Events: []string{"EVENT"}, BufferSize: 65536, Priority: -17},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := configuration(t, tc.section)
			if tc.want != nil {
				tc.want.File = c.File
			}
			got, text, fix := describeSection(c, "supernats")
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("section (-want +got):\n%s", diff)
			}
			if n := strings.Count(text, ";") + 1; len(tc.text) > 0 && n != len(tc.text) ||
				len(tc.text) == 0 && text+fix != "" {
				t.Errorf("%d problems: %q (%s)", n, text, fix)
			}
			for _, want := range tc.text {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in %q", want, text)
				}
			}
			for _, want := range tc.fix {
				if !strings.Contains(strings.ReplaceAll(fix, " and ", " "), want) {
					t.Errorf("no %q in %q", want, fix)
				}
			}
		})
	}
}

// What conf prints has no problem, in either form.
func TestConfHasNoProblem(t *testing.T) {
	for _, one := range []bool{true, false} {
		var b strings.Builder
		if err := Write(&b, []string{"x"}, []string{"x"}, Options{OneSection: one}); err != nil {
			t.Fatal(err)
		}
		c := configuration(t, b.String())
		seen := map[int]bool{}
		for _, s := range c.Sections {
			pool, ok := strings.CutPrefix(s.Name, "eventlistener:")
			if !ok {
				continue
			}
			data, text, _ := describeSection(c, pool)
			if data == nil || text != "" || seen[data.Priority] {
				t.Errorf("%s: %v %s", pool, data, text)
				continue
			}
			seen[data.Priority] = true
		}
		if want := map[bool]int{true: 1, false: 2}[one]; len(seen) != want {
			t.Errorf("%d sections, want %d", len(seen), want)
		}
	}
}

// Where the configuration cannot be read, the ticks are waited for.
func TestNoTicks(t *testing.T) {
	for _, tc := range []struct {
		name  string
		event bool
		tick  bool
		want  bool
	}{
		{name: "no event", event: false, tick: false, want: false},
		{name: "events without a tick", event: true, tick: false, want: true},
		{name: "a tick", event: true, tick: true, want: false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				board := trouble.New(trouble.Config{Log: zerolog.Nop(), Metrics: prometheus.NewRegistry()})
				come := new(arrivals)
				come.event.Store(tc.event)
				come.tick.Store(tc.tick)
				c := &Checker{
					Own: readAs(nil), Arrivals: come, Troubles: board, Log: zerolog.Nop(), Pool: supernatsPool,
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() {
					defer close(done)
					c.Run(ctx)
				}()
				time.Sleep(ticksWait - time.Second)
				if got := board.Lasting(); len(got) > 0 {
					t.Errorf("too early: %v", got)
				}
				time.Sleep(time.Minute)
				if got := board.Lasting(); len(got) > 0 != tc.want || tc.want && got[0].Cause != CauseNoTicks {
					t.Errorf("lasting: %v", got)
				}
				come.tick.Store(true) // TICK_3600 is better than nothing
				time.Sleep(time.Minute)
				if got := board.Lasting(); len(got) > 0 {
					t.Errorf("lasting after a tick: %v", got)
				}
				cancel()
				<-done
			})
		})
	}
}

// A section is subscribed to what its events= name.
func TestSees(t *testing.T) {
	for _, tc := range []struct {
		events        string
		deaths, exits bool
	}{
		{events: "PROCESS_LOG,PROCESS_COMMUNICATION,TICK_60", deaths: false, exits: false},
		{events: "process_state_exited,TICK_60", deaths: false, exits: true}, // no BACKOFF
		{events: "PROCESS_STATE,TICK_60", deaths: true, exits: true},
		{events: "EVENT", deaths: true, exits: true},
		{events: "", deaths: true, exits: true}, // not known
	} {
		own := readAs(nil)
		if tc.events != "" {
			own = readAs(configuration(t, "[eventlistener:supernats]\nevents="+tc.events+"\n"))
		}
		if got := own.SeesAllDeaths("supernats"); got != tc.deaths {
			t.Errorf("%s: all deaths are seen: %v", tc.events, got)
		}
		if got := own.Sees("supernats", schema.ProcessStateExited); got != tc.exits {
			t.Errorf("%s: exits are seen: %v", tc.events, got)
		}
	}
}

// readAs is our section when a configuration is read.
func readAs(c *supervisordconf.Configuration) *Own {
	done := make(chan struct{})
	close(done)
	return &Own{done: done, conf: c}
}

func supernatsPool() string { return "supernats" }

// arrivals is what has come.
type arrivals struct{ event, tick atomic.Bool }

func (a *arrivals) AnyEvent() bool { return a.event.Load() }
func (a *arrivals) AnyTick() bool  { return a.tick.Load() }
