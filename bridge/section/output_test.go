package section

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"supernats/bridge/supervisordconf"
)

// Values that publish output, and those that do not, as supervisord reads them.
func TestHasOutput(t *testing.T) {
	for options, want := range map[string]bool{
		"": false, "stdout_events_enabled=false": false, "stderr_events_enabled = Off ; none": false,
		"stdout_capture_maxbytes=0": false, "stdout_events_enabled=true": true, "stderr_events_enabled=1": true,
		"stderr_capture_maxbytes=1MB": true, "stdout_events_enabled=%(ENV_NO_SUCH_VARIABLE)s": true, "stdout_events_enabled=perhaps": true,
	} {
		file := filepath.Join(t.TempDir(), "supervisord.conf")
		if err := os.WriteFile(file, []byte("[supervisord]\n[program:a]\ncommand=a\n"+options+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		conf, err := supervisordconf.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := HasOutput(conf); got != want {
			t.Errorf("%q: %v", options, got)
		}
	}
}

// Only a section of a bridge for nothing but output that is not started by supervisord
// is one to start.
func TestOutputSections(t *testing.T) {
	const own = "[eventlistener:logs]\ncommand=\n  /usr/bin/supernats-bridge --skip TICK\nevents=PROCESS_LOG, PROCESS_COMMUNICATION,TICK_3600\nautostart=false\nprocess_name=bridge\n"
	for name, c := range map[string]struct {
		text string
		want int
	}{
		"ours":            {text: own, want: 1},
		"of other events": {text: strings.Replace(own, "PROCESS_LOG,", "PROCESS_LOG,PROCESS_STATE,", 1), want: 0},
		"started":         {text: strings.Replace(own, "autostart=false", "autostart=true", 1), want: 0},
		"somebody else's": {text: strings.Replace(own, "supernats-bridge", "crashmail", 1), want: 0},
		"a program":       {text: strings.Replace(own, "eventlistener:", "program:", 1), want: 0},
	} {
		file := filepath.Join(t.TempDir(), "supervisord.conf")
		if err := os.WriteFile(file, []byte("[supervisord]\n"+c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		conf, err := supervisordconf.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		got := outputSections(conf)
		if len(got) != c.want || c.want == 1 && got[0] != (outputSection{"logs", "bridge"}) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
