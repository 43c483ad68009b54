package setupcmd

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"supernats/schema/checkup"
)

const (
	bridgeProgram = "supernats-bridge"
	// hostTimeout is how long the examination of this machine may take.
	hostTimeout = time.Minute
)

// examineHost lets the bridge's own program examine this machine's supervisord: it knows
// what a section should be, and reads its command line as the bridge does. Without a
// configuration that is named, only a machine with a section of the bridge is examined.
func examineHost(ctx context.Context, conf string) []checkup.Finding {
	path := findBridge()
	if path == "" {
		return hostUnexamined(conf, "there is no "+bridgeProgram+" beside this program or in $PATH",
			"run it where supervisord is: supernats-bridge doctor")
	}
	args := []string{"doctor", "-o", "json", "--only-with-section"}
	if conf != "" {
		args = []string{"doctor", "-o", "json", "--supervisord-conf", conf}
	}
	ctx, cancel := context.WithTimeout(ctx, hostTimeout)
	defer cancel()

	c := exec.CommandContext(ctx, path, args...)
	c.WaitDelay = time.Second
	out, runErr := c.Output() // it exits with 1 if something fails
	var findings []checkup.Finding
	if err := json.Unmarshal(out, &findings); err != nil {
		why := err.Error()
		if runErr != nil {
			why = runErr.Error()
		}
		return hostUnexamined(conf, path+" doctor: "+why, "install the version of this program: "+path)
	}
	for i := range findings {
		findings[i].Check = "host"
	}
	return findings
}

// hostUnexamined reports that this machine was not examined, if somebody asked for it.
func hostUnexamined(conf, why, fix string) []checkup.Finding {
	if conf == "" {
		return nil
	}
	message := "cannot examine " + conf + ": " + why
	return []checkup.Finding{{Status: checkup.Fail, Check: "host", Message: message, Fix: fix}}
}

// findBridge finds the bridge's program beside ours, else in $PATH; "" without one.
func findBridge() string {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), bridgeProgram)
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside
		}
	}
	path, err := exec.LookPath(bridgeProgram)
	if err != nil {
		return ""
	}
	return path
}
