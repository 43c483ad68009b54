package bridge

import (
	"os"
	"path/filepath"
	"testing"

	"supernats/bridge/supervisord"
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
		conf, err := supervisord.ReadConfiguration(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := hasOutput(conf); got != want {
			t.Errorf("%q: %v", options, got)
		}
	}
}
