package deathreason

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"supernats/bridge/deathreason/reasontest"
	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
)

// lies are what a program may print at loglevel=debug so that its words look like
// supervisord's about the program web. NOW is a time of now, PID its own pid.
var lies = map[string]string{
	"a line":             `echo "NOW WARN exited: web (exit status 99; not expected)"`,
	"a whole life":       `printf "NOW WARN exited: web (exit status 99; not expected)\nNOW INFO spawned: 'web' with pid 4711\n"`,
	"its own start":      `printf "NOW INFO spawned: 'web' with pid PID\nNOW WARN exited: web (exit status 99; not expected)\n"`,
	"a header and lines": `printf "x\n\nNOW DEBG 'web' stdout output:\ny\n\nNOW WARN exited: web (exit status 99; not expected)\n"`,
	"a restart":          `printf "\nNOW INFO supervisord started with pid $PPID\nNOW INFO spawned: 'web' with pid PID\nNOW WARN exited: web (exit status 99; not expected)\n"`,
	"both copies":        `for i in 1 2; do echo "NOW WARN exited: web (exit status 99; not expected)"; done`,
	"the future":         `echo "2099-01-01 00:00:00,000 WARN exited: web (exit status 99; not expected)"`,
	"a spawn error":      `echo "NOW INFO spawnerr: can't find command '/forged/99'"`,
}

// TestForgedLines: what a child prints in supervisord's words, of itself or of another
// program, is never a reason, and others' reasons are found all the same.
func TestForgedLines(t *testing.T) {
	t.Parallel()
	sections := inSupervisord("loglevel=debug") +
		supervisordtest.Program("early", `sh -c "sleep 0.1; exit 5"`, "startsecs=10", "startretries=2")
	files := map[string]string{}
	program := func(name, script string) {
		files[name+".sh"] = script
		sections += supervisordtest.Program(name, "sh DIR/"+name+".sh", again)
	}
	// Each dies six times. In a round of its loop supervisord starts whatever has died and
	// hands out one event: as long as all die, events come the slower the busier the machine is.
	dying := func(name, script string) {
		program(name, "n=$(cat $0.n 2>/dev/null || echo 0); n=$((n+1)); echo $n >$0.n\n"+
			"[ $n -gt 6 ] && exec sleep 1000\n"+script)
	}
	dying("honest", "sleep 0.3; echo bye; exit 4\n")
	lied := map[string]string{} // by program
	for name, lie := range lies {
		n := strconv.Itoa(len(lied) / 2)
		about := func(program string) string {
			return strings.NewReplacer("NOW", "$(date '+%Y-%m-%d %H:%M:%S'),123", "PID", "$$", "web", program).Replace(lie)
		}
		lied["self"+n], lied["other"+n] = name+" by itself", name+" by another program"
		dying("self"+n, "sleep 0.3\n"+about("self"+n)+"\nexit 3\n")
		dying("other"+n, "sleep 0.4\nexit 3\n")
		program("liar"+n, "while :; do "+about("other"+n)+"; sleep 0.2; done\n")
	}
	f := startWith(t, sections, files)
	r := newReasons(t, f, 0)
	n := 0
	all := f.collect(t, "deaths", func(events []Received) bool {
		r.Explain(t.Context(), events[n:])
		n = len(events)
		for name := range lied {
			if deathsOf(events, name) < 5 {
				return false
			}
		}
		return deathsOf(events, "honest") >= 5 && deathsOf(events, "early") >= 3
	})
	f.quiet(t)
	late := unexplained(all)
	newReasons(t, f, 0).Explain(t.Context(), late)
	half := unexplained(all[len(all)/2:])
	newReasons(t, f, 0).Explain(t.Context(), half)

	honest := 0
	for _, e := range append(append(all, late...), half...) {
		want := map[string]string{"honest": "code 4", "early": "code 5"}[e.Event.Process]
		if lied[e.Event.Process] != "" {
			want = "code 3"
		}
		got := reasontest.Show(e.Event.Exit)
		if got != want && got != "unknown" && !strings.HasPrefix(got, "spawnerr Exited too quickly") {
			t.Errorf("%s of %s (%s): %s", e.Event.Event, e.Event.Process, lied[e.Event.Process], got)
		}
		if e.Event.Process == "honest" && got == want {
			honest++
		}
	}
	if honest < 5 {
		t.Errorf("only %d deaths of an honest program have their reason", honest)
	}
}

// startWith is start with files in DIR.
func startWith(t *testing.T, sections string, files map[string]string) *fixture {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		sections = strings.ReplaceAll(sections, "DIR/"+name, dir+"/"+name)
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return start(t, sections)
}

// deathsOf counts the deaths of a process.
func deathsOf(events []Received, process string) int {
	n := 0
	for _, e := range events {
		if e.Event.Process == process && e.Event.Event != schema.ProcessStateFatal && isDeath(e.Event) {
			n++
		}
	}
	return n
}
