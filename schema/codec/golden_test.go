package codec

import (
	"bytes"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/schema"
	"supernats/schema/schematest"
)

var update = flag.Bool("update", false, "rewrite testdata")

// One event of each name, as it stands in the stream: what others read must not
// change by accident. The first is a crash with all that is known of it.
func TestGolden(t *testing.T) {
	crash := Decode(raw(schema.ProcessStateExited, "processname:api_00 groupname:api from_state:RUNNING expected:0 pid:11167"), testHost, testBoot)
	crash.Serial, crash.PoolSerial = 1234, 1200
	crash.Exit, crash.Log = &schema.Exit{Code: new(3)}, &schema.Log{Stderr: "panic: no disk\n"}
	killed := Decode(raw(schema.ProcessStateExited,
		"processname:api_00 groupname:api from_state:RUNNING expected:0 pid:11168"), testHost, testBoot)
	killed.Exit = &schema.Exit{Signal: "SIGSEGV", Core: true}
	gaveUp := Decode(raw(schema.ProcessStateFatal, "processname:api_00 groupname:api from_state:BACKOFF"), testHost,
		testBoot)
	gaveUp.Exit = &schema.Exit{SpawnErr: "can't find command '/usr/bin/api'"}
	hungry := Decode(raw(schema.ProcessStateExited,
		"processname:importer groupname:importer from_state:RUNNING expected:0 pid:11204"), testHost, testBoot)
	hungry.Exit = &schema.Exit{
		Signal: "SIGKILL", Source: schema.ExitFromKernel,
		OOM: &schema.OOM{Cgroup: "/system.slice/supervisor.service", Limit: 2 << 30, Peak: 2 << 30},
	}
	hungry.Ran = new(187_442.031)
	hungry.Last = &schema.Look{
		Time: schema.Time{Time: testTime.Add(-3 * time.Second)}, RSS: 1966 << 20, PeakRSS: 1970 << 20,
		CPU: 9120.44, Threads: 9, Descriptors: 31, Age: 187_439.83,
	}
	events := []*schema.Event{crash, killed, gaveUp, hungry}

	for _, r := range []Raw{
		raw(schema.ProcessStateStopped, "processname:cat groupname:cat from_state:STOPPING pid:2766"),
		raw(schema.ProcessStateExited, "processname:cat groupname:cat from_state:RUNNING expected:1 pid:2766"),
		raw(schema.ProcessStateStarting, "processname:cat groupname:cat from_state:STOPPED tries:0"),
		raw(schema.ProcessStateStopping, "processname:cat groupname:cat from_state:RUNNING pid:2766"),
		raw(schema.ProcessStateBackoff, "processname:cat groupname:cat from_state:STARTING tries:0"),
		raw(schema.ProcessStateFatal, "processname:cat groupname:cat from_state:BACKOFF"),
		raw(schema.ProcessStateRunning, "processname:my.app-weird*>é groupname:cat from_state:STARTING pid:2766"),
		raw(schema.ProcessStateUnknown, "processname:cat groupname:cat from_state:BACKOFF"),
		raw(schema.ProcessCommunicationStdout, "processname:foo groupname:bar pid:123\n<b>&hello"),
		raw(schema.ProcessCommunicationStderr, "processname:foo groupname:bar pid:123\n"),
		raw(schema.ProcessLogStdout, "processname:foo groupname:bar pid:123 channel:stdout\n进程退出\n"),
		raw(schema.ProcessLogStderr, "processname:foo groupname:bar pid:123 channel:stderr\n\x1b[1m\x00\xff\n"),
		raw(schema.RemoteCommunication, "type:a type: of its own\nhello"),
		raw(schema.SupervisorStateChangeRunning, ""),
		raw(schema.SupervisorStateChangeStopping, ""),
		raw(schema.Tick5, "when:1201063880"),
		raw(schema.Tick60, "when:1201063860"),
		raw(schema.Tick3600, "when:1201060800"),
		raw(schema.ProcessGroupAdded, "groupname:foo\n"),
		raw(schema.ProcessGroupRemoved, "groupname:foo\n"),
		raw("PROCESS_STATE_FROZEN", "processname:cat groupname:cat from_state:RUNNING depth:3"),
		raw(schema.ProcessStateRunning, "it runs"),
	} {
		events = append(events, Decode(r, testHost, testBoot))
	}
	events = append(events, Split(Decode(raw(schema.ProcessLogStdout,
		"processname:foo groupname:bar pid:123 channel:stdout\n0123456789"), testHost, testBoot), 8)...)

	var got bytes.Buffer
	for _, e := range events {
		b := marshal(t, e.Envelope(testTime))
		if refused := schematest.Refused(t, "event", b); refused != nil {
			t.Errorf("%s\nis refused for %q", b, refused)
		}
		got.WriteString(e.Subject() + " ")
		got.Write(append(b, '\n'))
	}
	const file = "testdata/events.golden"
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s (-want +got), see -update:\n%s", file, diff)
	}
}
