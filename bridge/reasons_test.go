package bridge_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/schematest"
	"supernats/schema/stream"
)

// A death reports its reason and what the process wrote last; the process table
// comes as a snapshot.
func TestReasonsAndSnapshots(t *testing.T) {
	t.Parallel()
	_, js := startWeb1(t, `
[program:coded]
command=sh -c "echo last words >&2; sleep 1.2; exit 3"
[program:killed]
command=sh -c "sleep 1.3; kill -SEGV $$"
[program:flapper]
command=sh -c "exit 7"
startretries=1
[program:missing]
command=/no/such/program
startretries=1
`, "--snapshot-every", "1s")
	want := map[string]func(e *schema.Event) bool{
		"coded": func(e *schema.Event) bool {
			return e.UnexpectedExit() && e.Exit != nil && e.Exit.Code != nil && *e.Exit.Code == 3 && e.Log != nil &&
				strings.Contains(e.Log.Stderr, "last words")
		},
		"killed": func(e *schema.Event) bool {
			return e.UnexpectedExit() && e.Exit != nil && e.Exit.Signal == "SIGSEGV"
		},
		"flapper": func(e *schema.Event) bool {
			return e.Event == schema.ProcessStateFatal && e.Exit != nil && e.Exit.Code != nil && *e.Exit.Code == 7
		},
		"missing": func(e *schema.Event) bool {
			return e.Event == schema.ProcessStateFatal && e.Exit != nil &&
				strings.Contains(e.Exit.SpawnErr, "/no/such/program")
		},
	}
	supervisordtest.Wait(t, 30*time.Second, func() bool {
		missing := len(want)
		seen := map[string]bool{}
		for _, m := range stored(t, js, stream.AllEvents) {
			schematest.ValidateDocument(t, "event", m.Data())
			e := event(t, m)
			if is := want[e.Process]; is != nil && !seen[e.Process] && is(e) {
				seen[e.Process] = true
				missing--
			}
		}
		return missing == 0
	}, "four deaths with their reasons")

	reasons := map[string]bool{}
	supervisordtest.Wait(t, 30*time.Second, func() bool {
		for _, m := range stored(t, js, schema.SnapshotSubject("web1")) {
			schematest.ValidateDocument(t, "snapshot", m.Data())
			ce, err := schema.Unmarshal[*schema.Snapshot](m.Data())
			if err != nil || len(ce.Data.Processes) != 5 || m.Headers().Get(stream.HeaderTTL) != "3600s" {
				t.Fatalf("%v %s\n%s", err, m.Headers(), m.Data())
			}
			reasons[ce.Data.Reason] = true
		}
		return reasons["start"] && reasons["interval"]
	}, "snapshots")
}

// crasher dies ten times in a row, each time in another way, and writes down before
// how. Its fifth death waits for the file go, so that all programs die at once.
const crasher = `
name=$1 i=$2 n=$(cat "$1.n" 2>/dev/null || echo 0)
n=$((n+1))
echo $n >$name.n
[ $n -gt 10 ] && exec sleep 1000
case $n in
5) echo $name >>ready; while [ ! -e go ]; do sleep 0.05; done;;
*) sleep 0.$((i*37%50+10));;
esac
k=$(((i+n)%9))
set -- HUP INT ABRT KILL SEGV TERM
if [ $k -ge 6 ]; then
	code=$(((i*10+n)%255+1))
	echo $name $$ $code >>truth
	exit $code
fi
shift $k
echo $name $$ SIG$1 >>truth
kill -$1 $$
`

// Every death reports the reason that it really had, be they many at once.
func TestReasonsOfManyCrashes(t *testing.T) {
	t.Parallel()
	const programs, deaths = 20, 10
	dir := t.TempDir()
	read := func(name string) string {
		b, _ := os.ReadFile(filepath.Join(dir, name))
		return string(b)
	}
	if err := os.WriteFile(filepath.Join(dir, "crash.sh"), []byte(crasher), 0o600); err != nil {
		t.Fatal(err)
	}
	_, js := startWeb1(t, fmt.Sprintf(`
[program:crash]
command=sh crash.sh %%(program_name)s_%%(process_num)02d %%(process_num)d
directory=%s
numprocs=%d
process_name=%%(program_name)s_%%(process_num)02d
startsecs=0
autorestart=true
`, dir, programs))
	supervisordtest.Wait(t, 60*time.Second, func() bool { return strings.Count(read("ready"), "\n") == programs },
		"the programs to be ready to die together")
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	exits := waitStored(t, js, "supervisor.event.web1.crash.*.process_state.exited", programs*deaths)
	got := map[string]string{}
	var together []time.Time
	nth := map[string]int{}
	for _, m := range exits {
		e := event(t, m)
		if nth[e.Process]++; nth[e.Process] == 5 {
			together = append(together, at(t, m))
		}
		reason := "none"
		if x := e.Exit; x != nil && x.Code != nil {
			reason = fmt.Sprint(*x.Code)
		} else if x != nil {
			reason = cmp.Or(x.Signal, reason)
		}
		got[fmt.Sprintf("%s %d", e.Process, e.PID)] = reason
	}
	d := together[programs-1].Sub(together[0])
	t.Logf("%d programs died together within %v", programs, d)
	if d > 3*time.Second { // a second, unless the machine is busy
		t.Errorf("the programs took %v to die together", d)
	}
	lines := strings.Split(strings.TrimSpace(read("truth")), "\n")
	if len(lines) != programs*deaths || len(exits) != programs*deaths {
		t.Fatalf("%d deaths, %d exits", len(lines), len(exits))
	}
	for _, line := range lines {
		i := strings.LastIndex(line, " ")
		if reason := got[line[:i]]; reason != line[i+1:] {
			t.Errorf("%s died of %s, the event says %q", line[:i], line[i+1:], reason)
		}
	}
}

// The log of a death is of the life that it ended: a process that dies without a word
// does not show why it died before.
func TestLogOfThisLife(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := "n=$(cat n 2>/dev/null || echo 0); n=$((n+1)); echo $n >n\ncase $n in\n" +
		"1) echo 'Traceback: of the first life' >&2; sleep 0.5; exit 1;;\n2) sleep 1; kill -KILL $$;;\n*) exec sleep 1000;;\nesac\n"
	if err := os.WriteFile(filepath.Join(dir, "quiet.sh"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	_, js := startWeb1(t, `
[program:quiet]
command=sh quiet.sh
directory=`+dir+`
startsecs=0
autorestart=true
`)
	exits := waitStored(t, js, "supervisor.event.web1.quiet.quiet.process_state.exited", 2)
	first, second := event(t, exits[0]), event(t, exits[1])
	if first.Log == nil || !strings.Contains(first.Log.Stderr, "Traceback") || first.Exit == nil ||
		first.Exit.Code == nil {
		t.Errorf("first: %+v, %+v", first.Exit, first.Log)
	}
	if second.Log != nil || second.Exit == nil || second.Exit.Signal != "SIGKILL" {
		t.Errorf("second: %+v, %+v", second.Exit, second.Log)
	}
}
