package bridge

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"supernats/bridge/eventlistener"
	"supernats/schema"
)

const exitedHeader = "ver:3.0 server:supervisor serial:21 pool:supernats poolserial:10 eventname:PROCESS_STATE_EXITED len:72"

// What is known of a death is stored with its event, and a bridge that does not know of
// it finds one more pair.
func TestFactsAreStoredWithTheirEvent(t *testing.T) {
	t.Parallel()
	const payload = "processname:p groupname:g from_state:RUNNING expected:0 pid:7"
	f := &facts{
		Exit: &schema.Exit{Signal: "SIGKILL", Source: schema.ExitFromKernel, OOM: &schema.OOM{Cgroup: "/a b/\n\"c\"", Limit: 5}},
		Ran:  new(12.345), Last: &schema.Look{Time: schema.Time{Time: time.Unix(1, 0).UTC()}, RSS: 9},
	}
	rec := f.append(appendEvent(nil, time.UnixMicro(5), [bootBytes]byte{1}, []byte(exitedHeader), []byte(payload)))

	enc := &encoder{host: "web1"}
	_, e, got, err := enc.decode(rec)
	if err != nil || e.PID != 7 || e.Extra != nil {
		t.Fatalf("%+v, %v", e, err)
	}
	if diff := cmp.Diff(f, got); diff != "" {
		t.Error(diff)
	}
	msgs, err := enc.Encode(rec, math.MaxInt)
	if err != nil || !bytes.Contains(msgs[0].Data, []byte(`"exit":{"signal":"SIGKILL","source":"pidfd"`)) || !bytes.Contains(msgs[0].Data, []byte(`"ran":12.345`)) {
		t.Errorf("%v %s", err, msgs[0].Data)
	}

	_, body, _ := bytes.Cut(rec[recordHead:], []byte("\n"))
	old := schema.Decode(schema.Raw{Event: schema.ProcessStateExited, Payload: body}, "web1", "")
	if old.Process != "p" || old.PID != 7 || old.Data != nil || len(old.Extra) != 1 {
		t.Errorf("an older bridge reads %+v", old)
	}
}

// What looks like facts and is none is not taken for it.
func TestForeignFacts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ event, payload, rest string }{
		{"PROCESS_LOG_STDOUT", "processname:p groupname:g pid:7 channel:stdout\nx\nsupernats:{\"ran\":1}", "processname:p groupname:g pid:7 channel:stdout\nx\nsupernats:{\"ran\":1}"},
		{"PROCESS_STATE_EXITED", "processname:p groupname:g\nsupernats:{", "processname:p groupname:g"},
	} {
		h := &eventlistener.Header{Event: tt.event}
		rest, f := cutFacts(h, []byte(tt.payload))
		if string(rest) != tt.rest || f != nil {
			t.Errorf("%s: %q %+v", tt.event, rest, f)
		}
	}
}

// Only a death that nobody wanted has a reason.
func TestFactsApply(t *testing.T) {
	t.Parallel()
	f := &facts{Exit: &schema.Exit{Code: new(3)}, Ran: new(1.5)}
	for _, tt := range []struct {
		e    schema.Event
		want bool
	}{
		{schema.Event{Event: schema.ProcessStateExited, Expected: new(false)}, true},
		{schema.Event{Event: schema.ProcessStateExited, Expected: new(true)}, false},
		{schema.Event{Event: "PROCESS_STATE_STOPPED"}, false},
		{schema.Event{Event: schema.ProcessStateBackoff}, true},
		{schema.Event{Event: schema.ProcessStateFatal}, true},
	} {
		f.apply(&tt.e)
		if (tt.e.Exit != nil) != tt.want || tt.e.Ran == nil {
			t.Errorf("%s has reason %v, ran %v", tt.e.Event, tt.e.Exit, tt.e.Ran)
		}
	}
	known := schema.Event{Event: schema.ProcessStateBackoff, Exit: &schema.Exit{SpawnErr: "no such file"}}
	if f.apply(&known); known.Exit.SpawnErr == "" {
		t.Errorf("the reason of a program without a process is replaced: %+v", known.Exit)
	}
}

func TestExitOf(t *testing.T) {
	t.Parallel()
	for status, want := range map[unix.WaitStatus]schema.Exit{
		42 << 8:   {Code: new(42)},
		0:         {Code: new(0)},
		9:         {Signal: "SIGKILL"},
		11 | 0x80: {Signal: "SIGSEGV", Core: true},
		29:        {Signal: "SIGPOLL"},
		34:        {Signal: "SIGRTMIN"},
		35:        {Signal: "signal 35"},
		64:        {Signal: "SIGRTMAX"},
	} {
		want.Source = schema.ExitFromKernel
		if diff := cmp.Diff(&want, exitOf(status)); diff != "" {
			t.Errorf("status %#x: %s", int(status), diff)
		}
	}
	if e := exitOf(0x7f); e != nil { // stopped
		t.Errorf("a process that was stopped has ended: %+v", e)
	}
}

// A bucket never gives more than its size at once, and then one each time.
func TestBucket(t *testing.T) {
	t.Parallel()
	b, now, n := bucket{every: time.Second / 48, size: 2}, time.Unix(1, 0), 0
	for end := now.Add(time.Second); now.Before(end); now = now.Add(time.Millisecond) {
		if wait := b.take(now); wait == 0 {
			n++
		} else if wait > time.Second/48+time.Millisecond {
			t.Fatalf("%v to wait", wait)
		}
	}
	if n < 45 || n > 50 {
		t.Errorf("%d times in a second", n)
	}
}
