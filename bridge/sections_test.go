package bridge_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// bothSections is what `supernats-bridge conf` prints. The tick of the second one
// comes sooner.
func bothSections(t *testing.T, flags ...string) string {
	t.Helper()
	out, err := exec.Command(program, append([]string{
		"conf", "--stderr-logfile", stderrFile, "--spool-dir", t.TempDir(),
	}, flags...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(out), "TICK_3600"); n < 1 ||
		!strings.Contains(string(out), "[eventlistener:supernats-logs]") {
		t.Fatalf("one section:\n%s", out)
	}
	return strings.ReplaceAll(string(out), ",TICK_3600\n", ",TICK_5\n")
}

const talkers = `
[program:talker]
command=sh -c "while :; do echo line; sleep .01; done"
stdout_events_enabled=true
startsecs=0
[program:messenger]
command=sh -c "while :; do echo '<!--XSUPERVISOR:BEGIN-->hello<!--XSUPERVISOR:END-->'; sleep .05; done"
stdout_capture_maxbytes=1MB
startsecs=0
[program:crasher]
command=sh -c "sleep .3; exit 3"
startsecs=0
`

// An installation with one section gets two by an update. Together they publish
// every event once, in the order of each section, also when the bridges are killed;
// what both are sent is neither lost nor a duplicate.
func TestTwoSections(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	js := nats.JetStream()
	flags := []string{"--nats-url", nats.URL, "--host", "web1"}
	s := supervisordtest.Start(t, conf(t, flags...)+talkers)
	waitStored(t, js, stream.AllEvents, 50)
	if err := supervisordtest.WriteConf(s.Dir, "supervisor", bothSections(t, flags...)+talkers); err != nil {
		t.Fatal(err)
	}
	s.MustCtl(t, "update")
	supervisordtest.Wait(t, 30*time.Second, func() bool { return s.State("supernats-logs") == "RUNNING" }, "the section for output to be started")

	// A tick comes to both, and a bridge that has read nothing else since is killed.
	tick := schema.Subject{Host: "web1", Event: schema.Tick5}.String()
	ticks := pending(js, tick)
	waitStored(t, js, tick, ticks+2)
	s.MustCtl(t, "stop", "talker", "messenger")
	waitStored(t, js, tick, ticks+3)
	for _, name := range []string{"supernats-logs", "supernats"} {
		s.ReplaceProgram(t, name)
	}
	s.MustCtl(t, "start", "talker", "messenger")
	waitStored(t, js, tick, ticks+5)
	s.MustCtl(t, "stop", "talker", "messenger", "crasher")
	if err := s.SendRemote("end", ""); err != nil {
		t.Fatal(err)
	}
	end := waitStored(t, js, schema.Subject{Host: "web1", Event: schema.RemoteCommunication, Type: "end"}.String(), 1)[0]

	// Output of before may still be on its way.
	missing := 1
	var events []*schema.Event
	for try := 0; missing > 0 && try < 20; try++ {
		events = nil
		for _, m := range stored(t, js, stream.AllEvents) {
			events = append(events, event(t, m))
		}
		if missing = missingFrom(events, event(t, end).Serial); missing > 0 {
			time.Sleep(time.Second)
		}
	}
	if missing > 0 {
		t.Errorf("%d events are missing", missing)
	}
	pools := map[string]string{}
	last := map[string]*schema.Event{}
	seen := map[uint64]bool{}
	for _, e := range events {
		if seen[e.Serial] {
			t.Errorf("event %d is stored twice", e.Serial)
		}
		seen[e.Serial] = true
		if before := last[e.Pool]; before != nil && e.Serial <= before.Serial {
			t.Errorf("%s: event %d is stored after %d", e.Pool, e.Serial, before.Serial)
		}
		last[e.Pool] = e
		pools[e.Event] = e.Pool // the last one: of the two sections
	}
	for name, want := range map[string]string{
		"TICK_5": "supernats", "PROCESS_STATE_EXITED": "supernats", "PROCESS_LOG_STDOUT": "supernats-logs", "PROCESS_COMMUNICATION_STDOUT": "supernats-logs",
	} {
		if pools[name] != want {
			t.Errorf("%s is of pool %q, want %q", name, pools[name], want)
		}
	}
	described := map[string]string{}
	for _, m := range stored(t, js, "supervisor.bridge.>") {
		if strings.HasSuffix(m.Subject(), ".started") {
			ce, err := schema.Unmarshal[*schema.Bridge](m.Data())
			if err != nil || ce.Data.Section == nil {
				t.Errorf("%v: %s", err, m.Data())
				continue
			}
			described[ce.Data.Pool] = fmt.Sprintf("%d %d reasons: %v", ce.Data.Section.BufferSize,
				ce.Data.Section.Priority, ce.Data.Reasons != nil)
		}
		if strings.HasSuffix(m.Subject(), ".loss") || strings.HasSuffix(m.Subject(), ".trouble") {
			t.Errorf("%s: %s", m.Subject(), m.Data())
		}
	}
	if diff := cmp.Diff(map[string]string{
		"supernats": "65536 -17 reasons: true", "supernats-logs": "16384 -18 reasons: false",
	}, described); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}
	files, err := filepath.Glob(s.Dir + "/supernats-stderr*")
	if err != nil || fmt.Sprint(files) != fmt.Sprint([]string{
		s.Dir + "/supernats-stderr-logs.log", s.Dir + "/supernats-stderr.log",
	}) {
		t.Errorf("logs are %q, %v", files, err)
	}
	for _, file := range files {
		if b, err := os.ReadFile(file); err != nil || strings.Contains(string(b), "already had") ||
			strings.Contains(string(b), `"level":"error"`) {
			t.Errorf("%v\n%s", err, b)
		}
	}
}

// missingFrom counts the events up to one that are not there, from when both sections
// listened: while an update replaces a section, none does.
func missingFrom(events []*schema.Event, end uint64) (missing int) {
	seen := map[uint64]bool{}
	var first uint64
	for _, e := range events {
		seen[e.Serial] = true
		if e.Pool == "supernats-logs" && first == 0 {
			first = e.Serial
		}
	}
	for serial := first; serial <= end; serial++ {
		if !seen[serial] {
			missing++
		}
	}
	return missing
}

// Without a program whose output is published the section for it is not started; when
// one is added it is, and nothing of the output is lost.
func TestSectionForOutputWhenNeeded(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	js := nats.JetStream()
	sections := bothSections(t, "--nats-url", nats.URL, "--host", "web1")
	quiet := supervisordtest.Program("quiet", "sleep 1000", "stdout_events_enabled=false")
	s := supervisordtest.Start(t, sections+quiet)
	waitStored(t, js, schema.Subject{Host: "web1", Event: schema.Tick5}.String(), 1)
	if out, _ := s.Ctl("status", "supernats-logs"); !strings.Contains(out, "STOPPED") {
		t.Fatalf("status: %s", out)
	}

	counter := supervisordtest.Program("counter",
		`sh -c "i=0; while [ $i -lt 20 ]; do i=$((i+1)); echo line $i; sleep .05; done; sleep 1000"`,
		"stdout_events_enabled=true", "startsecs=0")
	if err := supervisordtest.WriteConf(s.Dir, "supervisor", sections+quiet+counter); err != nil {
		t.Fatal(err)
	}
	s.MustCtl(t, "update")
	all := func() (text string) {
		for _, m := range stored(t, js, schema.Subject{
			Host: "web1", Group: "counter", Process: "counter", Event: "PROCESS_LOG_STDOUT",
		}.String()) {
			text += *event(t, m).Data
		}
		return text
	}
	for end := time.Now().Add(30 * time.Second); !strings.HasSuffix(all(), "line 20\n"); time.Sleep(300 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the last line of output does not come")
		}
	}
	if text := all(); !strings.HasPrefix(text, "line 1\n") || strings.Count(text, "line ") != 20 {
		t.Errorf("output is %q", text)
	}
	if out := s.MustCtl(t, "status", "supernats-logs"); !strings.Contains(out, "RUNNING") {
		t.Errorf("status: %s", out)
	}
}
