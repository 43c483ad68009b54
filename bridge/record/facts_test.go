package record

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/bridge/eventlistener"
	"supernats/schema"
	"supernats/schema/codec"
)

const exitedHeader = "ver:3.0 server:supervisor serial:21 pool:supernats poolserial:10 eventname:PROCESS_STATE_EXITED len:72"

// What is known of a death is stored with its event, and a bridge that does not know of
// it finds one more pair.
func TestFactsAreStoredWithTheirEvent(t *testing.T) {
	t.Parallel()
	const payload = "processname:p groupname:g from_state:RUNNING expected:0 pid:7"
	f := &Facts{
		Exit: &schema.Exit{
			Signal: "SIGKILL", Source: schema.ExitFromKernel, OOM: &schema.OOM{Cgroup: "/a b/\n\"c\"", Limit: 5},
		},
		Ran: new(12.345), Last: &schema.Look{Time: schema.Time{Time: time.Unix(1, 0).UTC()}, RSS: 9},
	}
	rec := f.AppendTo(AppendEvent(nil, time.UnixMicro(5), [BootSize]byte{1}, []byte(exitedHeader), []byte(payload)))

	enc := &Encoder{Host: "web1"}
	_, e, got, err := enc.Decode(rec)
	if err != nil || e.PID != 7 || e.Extra != nil {
		t.Fatalf("%+v, %v", e, err)
	}
	if diff := cmp.Diff(f, got); diff != "" {
		t.Error(diff)
	}
	msgs, err := enc.Encode(rec, math.MaxInt)
	if err != nil || !bytes.Contains(msgs[0].Data, []byte(`"exit":{"signal":"SIGKILL","source":"pidfd"`)) ||
		!bytes.Contains(msgs[0].Data, []byte(`"ran":12.345`)) {
		t.Errorf("%v %s", err, msgs[0].Data)
	}

	_, body, _ := bytes.Cut(rec[headSize:], []byte("\n"))
	old := codec.Decode(codec.Raw{Event: schema.ProcessStateExited, Payload: body}, "web1", "")
	if old.Process != "p" || old.PID != 7 || old.Data != nil || len(old.Extra) != 1 {
		t.Errorf("an older bridge reads %+v", old)
	}
}

// What looks like facts without being that is not taken for them.
func TestForeignFacts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ event, payload, rest string }{
		{
			event:   "PROCESS_LOG_STDOUT",
			payload: "processname:p groupname:g pid:7 channel:stdout\nx\nsupernats:{\"ran\":1}",
			rest:    "processname:p groupname:g pid:7 channel:stdout\nx\nsupernats:{\"ran\":1}",
		},
		{
			event: "PROCESS_STATE_EXITED", payload: "processname:p groupname:g\nsupernats:{",
			rest: "processname:p groupname:g",
		},
	} {
		h := &eventlistener.Header{Event: tt.event}
		rest, f := CutFacts(h, []byte(tt.payload))
		if string(rest) != tt.rest || f != nil {
			t.Errorf("%s: %q %+v", tt.event, rest, f)
		}
	}
}

// Only a death that nobody wanted has a reason.
func TestFactsApply(t *testing.T) {
	t.Parallel()
	f := &Facts{Exit: &schema.Exit{Code: new(3)}, Ran: new(1.5)}
	for _, tt := range []struct {
		e    schema.Event
		want bool
	}{
		{e: schema.Event{Event: schema.ProcessStateExited, Expected: new(false)}, want: true},
		{e: schema.Event{Event: schema.ProcessStateExited, Expected: new(true)}, want: false},
		{e: schema.Event{Event: "PROCESS_STATE_STOPPED"}, want: false},
		{e: schema.Event{Event: schema.ProcessStateBackoff}, want: true},
		{e: schema.Event{Event: schema.ProcessStateFatal}, want: true},
	} {
		f.Apply(&tt.e)
		if (tt.e.Exit != nil) != tt.want || tt.e.Ran == nil {
			t.Errorf("%s has reason %v, ran %v", tt.e.Event, tt.e.Exit, tt.e.Ran)
		}
	}
	known := schema.Event{Event: schema.ProcessStateBackoff, Exit: &schema.Exit{SpawnErr: "no such file"}}
	if f.Apply(&known); known.Exit.SpawnErr == "" {
		t.Errorf("the reason of a program without a process is replaced: %+v", known.Exit)
	}
}

// Where memory ran out is stored with its event, whatever the cgroup is called, and
// belongs to a process that was killed only.
func TestMemoryFacts(t *testing.T) {
	ranOut := &schema.OOM{Cgroup: "/a b\n\"c\" supernats:{}", Limit: 2, Peak: 1}
	for _, tt := range []struct {
		name       string
		kernel, by *schema.Exit // by is what supervisord's log says
		want       *schema.OOM
	}{
		{
			name: "by the kernel", kernel: &schema.Exit{Signal: "SIGKILL", Source: schema.ExitFromKernel}, by: nil,
			want: ranOut,
		},
		{
			name: "by the log", kernel: nil, by: &schema.Exit{Signal: "SIGKILL", Source: schema.ExitFromLog},
			want: ranOut,
		},
		{
			name: "another signal by the log", kernel: nil,
			by: &schema.Exit{Signal: "SIGTERM", Source: schema.ExitFromLog}, want: nil,
		},
		{name: "a code by the log", kernel: nil, by: &schema.Exit{Code: new(1), Source: schema.ExitFromLog}, want: nil},
		{name: "no reason", kernel: nil, by: nil, want: nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const payload = "processname:web groupname:web from_state:RUNNING expected:0 pid:7"
			f := &Facts{Exit: tt.kernel, OOM: ranOut}
			h := &eventlistener.Header{Event: schema.ProcessStateExited}
			line, f := CutFacts(h, f.AppendTo([]byte(payload)))
			if string(line) != payload || f == nil {
				t.Fatalf("read back as %q, %+v", line, f)
			}

			e := &schema.Event{Event: schema.ProcessStateExited, Expected: new(false), Exit: tt.by}
			f.Apply(e)
			var got *schema.OOM
			if e.Exit != nil {
				got = e.Exit.OOM
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if tt.by != nil && tt.by.OOM != nil || f.Exit != nil && f.Exit.OOM != nil {
				t.Error("what others hold is changed")
			}
		})
	}
}

// A program that could not be started has not run.
func TestNeverRan(t *testing.T) {
	t.Parallel()
	ran := 1.5
	for _, tc := range []struct {
		exit *schema.Exit
		want bool
	}{
		{want: true},
		{exit: &schema.Exit{Signal: "SIGKILL"}, want: true},
		{exit: &schema.Exit{SpawnErr: "can't find command"}, want: false},
	} {
		e := &schema.Event{Event: schema.ProcessStateBackoff, Exit: tc.exit}
		(&Facts{Ran: &ran, Last: &schema.Look{}}).Apply(e)
		if got := e.Ran != nil && e.Last != nil; got != tc.want {
			t.Errorf("%+v: %v, %v", tc.exit, e.Ran, e.Last)
		}
	}
}
