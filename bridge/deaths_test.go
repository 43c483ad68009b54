package bridge_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/procfs"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/codec"
	"supernats/schema/stream/streamtest"
)

// contained is silent in a pid namespace of its own, as in a container.
func contained(t *testing.T, sections string) {
	t.Helper()
	silent(t, sections, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
}

// silent starts a supervisord that logs nothing and has no XML-RPC, by another program
// if there is one.
func silent(t *testing.T, sections string, within ...string) (dir string, pid int) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: needs a supervisord")
	}
	dir = supervisordtest.Dir(t)
	text := fmt.Sprintf("[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\nloglevel=error\npidfile=%[1]s/pid\nchildlogdir=%[1]s\ndirectory=%[1]s\n\n%[2]s", dir, sections)
	if err := os.WriteFile(dir+"/supervisord.conf", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("supervisord", "-n", "-c", dir+"/supervisord.conf")
	if len(within) > 0 {
		cmd = exec.Command(within[0], append(within[1:], cmd.Args...)...)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(supervisordtest.ErrMissing)
	}
	t.Cleanup(func() {
		end := syscall.SIGTERM
		if len(within) > 0 {
			end = syscall.SIGKILL // unshare ignores the other one
		}
		_ = cmd.Process.Signal(end)
		_ = cmd.Wait()
		if t.Failed() {
			logs, _ := filepath.Glob(dir + "/supernats-stderr*")
			for _, l := range logs {
				b, _ := os.ReadFile(l)
				t.Logf("%s", b[max(0, len(b)-5000):])
			}
		}
	})
	return dir, cmd.Process.Pid
}

// refusing has the kernel refuse some calls of the bridge.
func refusing(t *testing.T, sections, calls string) string {
	t.Helper()
	script, err := filepath.Abs("testdata/refuse.py")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(sections, "command="+program, "command=/usr/bin/python3 "+script+" "+calls+" "+program, 1)
}

// dying are programs that end in all ways as soon as there is a file go: dyingAtOnce times
// at once, and then after a while, since supervisord would have time for nothing but to
// start them. The nth end of count is exit code n modulo 200.
func dying() string {
	var b strings.Builder
	for name, script := range map[string]string{
		"coded":   "exit 42",
		"killed":  "kill -KILL $$",
		"dumped":  "ulimit -c unlimited; kill -SEGV $$",
		"aborted": "ulimit -c 0; kill -ABRT $$",
		"count":   "exit $((n %% 200))",
		"never":   "exit 7",
		"later":   "sleep 0.3; exit 9",
	} {
		counting := fmt.Sprintf("n=$(cat n.%[1]s 2>/dev/null || echo 0); echo $((n+1)) > n.%[1]s; [ $n -lt %[2]d ] || sleep 0.3; ", name, dyingAtOnce)
		if name == "later" {
			counting = "" // there are several
		}
		fmt.Fprintf(&b, "\n[program:%s]\ndirectory=%%(here)s\ncommand=sh -c \"[ -e go ] || sleep 1000; %s%s\"\n", name,
			counting, script)
		switch name {
		case "never":
			b.WriteString("startretries=2\n")
			continue
		case "later":
			fmt.Fprintf(&b, "numprocs=%d\nprocess_name=%%(program_name)s_%%(process_num)d\n", dyingLater)
		}
		b.WriteString("startsecs=0\nautorestart=true\nexitcodes=255\n")
	}
	return b.String()
}

const (
	dyingAtOnce = 60
	// dyingLater is how many there are of the program that dies after a while.
	dyingLater = 24
)

// begin lets them die, when the bridge is there.
func begin(t *testing.T, nats *streamtest.Server, dir string, supervisord int) {
	t.Helper()
	const programs = 6 + dyingLater
	waitStored(t, nats.JetStream(), "supervisor.event.*.*.*.process_state.starting", programs)
	// One that has been started, and has not looked for the file yet, would end by itself.
	supervisordtest.Wait(t, time.Minute, func() bool {
		asleep := 0
		for _, pid := range childrenOf(t, supervisord, "sh") {
			asleep += len(childrenOf(t, pid, "sleep"))
		}
		return asleep == programs
	}, "%d programs to sleep", programs)
	if err := os.WriteFile(dir+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, pid := range childrenOf(t, supervisord, "sh") {
		_ = syscall.Kill(-pid, syscall.SIGTERM) // their group
	}
}

// childrenOf are the processes that a process has started, of a name.
func childrenOf(t testing.TB, parent int, name string) (pids []int) {
	t.Helper()
	all, err := procfs.AllProcs()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if stat, err := p.Stat(); err == nil && stat.PPID == parent && stat.Comm == name {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// ends counts the deaths in the stream whose reason is right, is missing, and is wrong.
// Of a BACKOFF, which has no process id, it may be missing: if no other event has come since
// the start, and the process died before its name could be read, there may have been none.
func ends(t *testing.T, nats *streamtest.Server) (right, missing, wrong int, most int) {
	t.Helper()
	var times []time.Time
	counted := 0
	begun := map[string]bool{}
	for _, m := range stored(t, nats.JetStream(), "supervisor.event.*.*.*.process_state.>") {
		ce, err := codec.UnmarshalEvent(m.Data())
		if err != nil {
			t.Fatal(err)
		}
		e := ce.Data
		if e.Event != schema.ProcessStateExited && e.Event != schema.ProcessStateBackoff &&
			e.Event != schema.ProcessStateFatal {
			continue
		}
		want := map[string]string{
			"coded": "exit 42", "killed": "SIGKILL", "dumped": "SIGSEGV core", "aborted": "SIGABRT", "never": "exit 7",
			"count": "exit " + strconv.Itoa(counted%200), "later": "exit 9",
		}[e.Group]
		if !begun[e.Process] {
			begun[e.Process], want = true, "SIGTERM" // by begin
		} else if e.Process == "count" {
			counted++
		}
		times = append(times, ce.Time.Time)
		switch got := endText(e.Exit); {
		case got == want && e.Exit.Source == schema.ExitFromKernel:
			right++
		case got == "" && e.PID == 0:
			t.Logf("%s of %s is matched with no process", e.Event, e.Process)
		case got == "":
			missing++
			t.Logf("%s of %s at %v has no reason", e.Event, e.Process, ce.Time)
		default:
			wrong++
			t.Logf("%s of %s is %s (%s), want %s", e.Event, e.Process, got, e.Exit.Source, want)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	for i := range times { // the most in one second
		n, _ := slices.BinarySearchFunc(times, times[i].Add(time.Second), time.Time.Compare)
		most = max(most, n-i)
	}
	return right, missing, wrong, most
}

func endText(e *schema.Exit) string {
	switch {
	case e == nil:
		return ""
	case e.Code != nil:
		return "exit " + strconv.Itoa(*e.Code)
	case e.Core:
		return e.Signal + " core"
	}
	return e.Signal
}

// showCounts shows how many events of each program there are, if the test fails.
func showCounts(t *testing.T, nats *streamtest.Server) {
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		counts := map[string]int{}
		for _, m := range stored(t, nats.JetStream(), "supervisor.event.*.*.*.process_state.>") {
			words := strings.Split(m.Subject(), ".")
			counts[words[3]+" "+words[len(words)-1]]++
		}
		t.Log(counts)
	})
}

// Without a log and without XML-RPC every death has its reason. The test is alone: where
// supervisord gets so little of the processor that its events lag by minutes, process ids
// are used again meanwhile, and what is ambiguous has no reason.
func TestReasonsFromTheKernel(t *testing.T) {
	nats := streamtest.Start(t)
	dir, pid := silent(t, conf(t, "--nats-url", nats.URL, "--host", "web1")+dying())
	begin(t, nats, dir, pid)
	showCounts(t, nats)
	supervisordtest.Wait(t, 10*time.Minute, func() bool {
		return pending(nats.JetStream(), "supervisor.event.*.*.*.process_state.exited") >= 1000 &&
			pending(nats.JetStream(), "supervisor.event.*.*.never.process_state.fatal") >= 1
	}, "1,000 deaths")

	right, missing, wrong, most := ends(t, nats)
	t.Logf("%d right, %d missing, %d wrong; %d within one second", right, missing, wrong, most)
	if wrong > 0 || missing > 0 || right < 1000 {
		t.Errorf("of %d deaths %d have no reason and %d a wrong one", right+missing+wrong, missing, wrong)
	}
}

// Where the kernel reports no starts, what dies within a millisecond may be missed: then
// it has no reason, and never a wrong one.
func TestReasonsWithoutConnector(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	dir, pid := silent(t, refusing(t, conf(t, "--nats-url", nats.URL, "--host", "web1"), "connector")+dying())
	begin(t, nats, dir, pid)
	supervisordtest.Wait(t, 10*time.Minute, func() bool {
		return pending(nats.JetStream(), "supervisor.event.*.*.*.process_state.exited") >= 300
	}, "300 deaths")

	right, missing, wrong, most := ends(t, nats)
	t.Logf("%d right, %d missing, %d wrong; %d within one second", right, missing, wrong, most)
	if wrong > 0 || right == 0 {
		t.Errorf("of %d deaths %d have no reason and %d a wrong one", right+missing+wrong, missing, wrong)
	}
}
