package supervisord

import (
	"os"
	"strings"
	"testing"

	"supernats/schema"
)

// lies are what a program may print at loglevel=debug so that its words look like
// supervisord's. NOW is a time of now, PID its own pid.
var lies = map[string]string{
	"a line":             `echo "NOW WARN exited: web (exit status 99; not expected)"`,
	"a whole life":       `printf "NOW WARN exited: web (exit status 99; not expected)\nNOW INFO spawned: 'web' with pid 4711\n"`,
	"its own start":      `printf "NOW INFO spawned: 'web' with pid PID\nNOW WARN exited: web (exit status 99; not expected)\n"`,
	"a header and lines": `printf "x\n\nNOW DEBG 'web' stdout output:\ny\n\nNOW WARN exited: web (exit status 99; not expected)\n"`,
	"a restart":          `printf "\nNOW INFO supervisord started with pid $PPID\nNOW INFO spawned: 'web' with pid PID\nNOW WARN exited: web (exit status 99; not expected)\n"`,
	"both copies":        `for i in 1 2; do echo "NOW WARN exited: web (exit status 99; not expected)"; done`,
	"the future":         `echo "2099-01-01 00:00:00,000 WARN exited: web (exit status 99; not expected)"`,
	"a spawn error":      `echo "NOW INFO spawnerr: can't find command '/forged/99'"`,
	"of the Go port":     `echo 'time="2026-11-30T02:47:39Z" level=info msg="program stopped with status:exit status 99" program=web'`,
}

// TestForgedLines: what a child prints in supervisord's words is never a reason, and
// others' reasons are found all the same.
func TestForgedLines(t *testing.T) {
	t.Parallel()
	for name, lie := range lies {
		for _, who := range []string{"itself", "another program"} {
			t.Run(name+" by "+who, func(t *testing.T) {
				t.Parallel()
				lie := strings.NewReplacer("NOW", "$(date '+%Y-%m-%d %H:%M:%S'),123", "PID", "$$").Replace(lie)
				sections := inSupervisord("loglevel=debug") + `
[program:web]
command=sh DIR/web.sh
startsecs=0
autorestart=true
stopsignal=KILL
[program:early]
command=sh -c "sleep 0.1; exit 5"
startsecs=10
startretries=2
[program:honest]
command=sh -c "sleep 0.3; echo bye; exit 4"
startsecs=0
autorestart=true
stopsignal=KILL
[program:other]
command=sh DIR/other.sh
stopsignal=KILL
`
				web, other := "sleep 0.2\n", "exec sleep 1000\n"
				if who == "itself" {
					web += lie + "\n"
				} else {
					other = "while :; do " + lie + "; sleep 0.07; done\n"
				}
				f := startWith(t, sections, map[string]string{"web.sh": web + "exit 3\n", "other.sh": other})
				r := newReasons(t, f, 0)
				n := 0
				all := f.collect(t, "deaths", func(events []Received) bool {
					r.Explain(t.Context(), events[n:])
					n = len(events)
					return of(events, "web") >= 8 && of(events, "honest") >= 5 && of(events, "early") >= 3
				})
				late := fresh(all)
				newReasons(t, f, 0).Explain(t.Context(), late)
				half := fresh(all[len(all)/2:])
				newReasons(t, f, 0).Explain(t.Context(), half)

				right := map[string]int{}
				for _, e := range append(append(all, late...), half...) {
					want := map[string]string{"web": "code 3", "honest": "code 4", "early": "code 5"}[e.Event.Process]
					got := show(e.Event.Exit)
					if got == want {
						right[e.Event.Process]++
					} else if got != "unknown" && !strings.HasPrefix(got, "spawnerr Exited too quickly") {
						t.Errorf("%s of %s: %s", e.Event.Event, e.Event.Process, got)
					}
				}
				t.Logf("%v", right)
				if right["honest"] < 5 {
					t.Errorf("the deaths of an honest program have no reasons: %v", right)
				}
			})
		}
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

// of counts the deaths of a process.
func of(events []Received, process string) int {
	n := 0
	for _, e := range events {
		if e.Event.Process == process && e.Event.Event != schema.ProcessStateFatal && isDeath(e.Event) {
			n++
		}
	}
	return n
}
