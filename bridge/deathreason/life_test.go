package deathreason

import (
	"strings"
	"testing"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
)

// lives are programs whose log of one life must not show another one.
var lives = supervisordtest.Program("quiet", "sh DIR/quiet.sh", again, "stdout_logfile=DIR/quiet.out",
	"stderr_logfile=DIR/quiet.err") +
	supervisordtest.Program("bar", "sh DIR/bar.sh", once, "redirect_stderr=true", "stdout_logfile=DIR/bar.out") +
	supervisordtest.Program("gone", `sh -c "echo life $$; sleep 0.3; exit 1"`, "startsecs=2", "startretries=1",
		"stdout_logfile=DIR/gone.out") +
	supervisordtest.Program("one", `sh -c "sleep 0.2; echo of one; exit 1"`, once, "stdout_logfile=DIR/both.out") +
	supervisordtest.Program("two", `sh -c "sleep 0.2; echo of two; exit 1"`, once, "stdout_logfile=DIR/both.out",
		"stderr_logfile=DIR/link.err") +
	supervisordtest.Program("own", `sh -c "sleep 0.2; echo into supervisords log; exit 1"`, once,
		"stdout_logfile=DIR/supervisord.log", "stdout_logfile_maxbytes=0") +
	supervisordtest.Program("console", `sh -c "sleep 0.2; echo to the console; exit 1"`, once,
		"stdout_logfile=/dev/stdout", "stdout_logfile_maxbytes=0")

var liveFiles = map[string]string{
	// The first life writes why it died, the second one dies without a word, the third
	// one writes again.
	"quiet.sh": `
n=$(cat $0.n 2>/dev/null || echo 0); n=$((n+1)); echo $n >$0.n
sleep 0.3
case $n in
1) echo "Traceback: of the first life" >&2; exit 1;;
2) sleep 0.3; kill -KILL $$;;
3) sleep 1.5; echo "of the third life"; exit 3;;
*) exec sleep 1000;;
esac
`,
	"bar.sh": `
printf '\033[31mERROR\033[0m \033[1mno space left\033[0m\n' >&2
i=0; while [ $i -lt 100 ]; do i=$((i+1)); printf '\r%3d%%|##########################|' $i; done
exit 5
`,
}

func TestLogOfOneLife(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"files", "XML-RPC"} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			f := startWith(t, lives, liveFiles)
			raised := map[string]string{}
			r := newReasons(t, f, 200, func(cfg *Config) {
				cfg.Raise = func(cause, text, _ string) { raised[cause] = text }
				cfg.Warn = func(error) {}
				if source == "XML-RPC" {
					hideFiles(cfg)
				}
			})
			table, err := f.client(t).Processes(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r.Know(table)

			n := 0
			all := f.collect(t, "deaths", func(events []Received) bool {
				for _, e := range events[n:] {
					switch e.Event.Event {
					case schema.ProcessStateExited, schema.ProcessStateBackoff, schema.ProcessStateStopped:
						r.logs.End(e.Event.Group, e.Event.Process, e.Event.Serial) // as Run does
					}
					r.Explain(t.Context(), []Received{e})
				}
				n = len(events)
				return deathsOf(events, "quiet") >= 3 && count(events, schema.ProcessStateFatal) >= 1 &&
					deathsOf(events, "console") == 1 && deathsOf(events, "two") == 1
			})
			logs := map[string][]*schema.Log{}
			for _, e := range all {
				if isDeath(e.Event) && e.Event.Event != schema.ProcessStateBackoff {
					logs[e.Event.Process] = append(logs[e.Event.Process], e.Event.Log)
				}
			}

			quiet := logs["quiet"]
			if quiet[0] == nil || quiet[0].Stderr != "Traceback: of the first life\n" || quiet[0].Stdout != "" {
				t.Errorf("first life: %+v", quiet[0])
			}
			if quiet[1] != nil {
				t.Errorf("the second life wrote nothing: %+v", quiet[1])
			}
			if quiet[2] == nil || quiet[2].Stdout != "of the third life\n" || quiet[2].Stderr != "" {
				t.Errorf("third life: %+v", quiet[2])
			}
			if l := logs["bar"][0]; l == nil || !strings.HasPrefix(l.Stdout, "ERROR no space left\n100%|") ||
				strings.Contains(l.Stdout, "\uFFFD") {
				t.Errorf("bar: %+v", l)
			}
			if l := logs["gone"][0]; l == nil || strings.Count(l.Stdout, "life") != 1 {
				t.Errorf("a program that gave up shows the last life only: %+v", l)
			}
			for _, name := range []string{"one", "two", "own", "console"} {
				if l := logs[name][0]; l != nil {
					t.Errorf("%s has the log of a file that others write to: %+v", name, l)
				}
			}
			if !strings.Contains(raised[troubleTail], "console, one, ") {
				t.Errorf("raised %v", raised)
			}
		})
	}
}
