package ownlog

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"supernats/bridge/supervisord/supervisordtest"
)

// The log of a real supervisord has deaths that were not expected, from when it is
// followed, over a rotation too.
func TestFollowDeaths(t *testing.T) {
	program := supervisordtest.Program
	s := supervisordtest.Start(t, program("before", `sh -c "exit 1"`, "startsecs=0", "autorestart=false")+
		program("killed", "sleep 1000", "startsecs=0", "autorestart=false")+
		program("coded", `sh -c "exit 3"`, "startsecs=0", "autostart=false", "autorestart=false")+
		program("fine", `sh -c "exit 0"`, "startsecs=0", "autostart=false", "autorestart=false")+
		program("stopped", "sleep 1000", "startsecs=0"))
	s.WaitLog(t, "exited: before", 1)
	d, err := FollowDeaths(t.Context(), Supervisord{
		PID: s.PID(), Settings: Settings{Logfile: s.Dir + "/supervisord.log"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()

	var got []string
	until := func(n int) {
		t.Helper()
		supervisordtest.Wait(t, 20*time.Second, func() bool {
			deaths, err := d.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range deaths {
				reason := x.Exit.Signal
				if x.Exit.Code != nil {
					reason = strconv.Itoa(*x.Exit.Code)
				}
				got = append(got, x.Process+" "+reason)
			}
			return len(got) >= n
		}, "%d deaths", n)
	}
	s.MustCtl(t, "signal", "KILL", "killed")
	until(1)
	s.MustCtl(t, "stop", "stopped")
	_, _ = s.Ctl("start", "fine") // which it may call an abnormal termination: it ends at once
	s.WaitLog(t, "exited: fine", 1)
	if err := os.Rename(s.Dir+"/supervisord.log", s.Dir+"/supervisord.log.1"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.PID(), syscall.SIGUSR2); err != nil { // opens another one
		t.Fatal(err)
	}
	_, _ = s.Ctl("start", "coded") // which it may call a spawn error: it ends at once
	until(2)
	if want := "killed SIGKILL,coded 3"; strings.Join(got, ",") != want {
		t.Errorf("deaths are %q, want %s", got, want)
	}
}
