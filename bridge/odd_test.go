package bridge_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/stream/streamtest"
)

// Where the bridge may see little, or supervisord is in a container, deaths have their
// reason all the same, or it is said why not.
func TestReasonsInOddPlaces(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, for namespaces")
	}
	t.Parallel()
	if err := os.Chmod(filepath.Dir(program), 0o755); err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("testdata/refuse.py")
	if err != nil {
		t.Fatal(err)
	}
	const nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups "
	unconnected := "/usr/bin/python3 " + script + " connector "
	for name, tt := range map[string]struct {
		setup  string // for a mount namespace of the bridge's own
		prefix string // of the bridge
		hidden bool
		late   bool // programs are watched from RUNNING on
	}{
		"root":               {},
		"nobody":             {prefix: nobody},
		"nobody, hidepid=2":  {setup: "mount -t proc -o hidepid=2 proc /proc", prefix: nobody},
		"nobody, subset=pid": {setup: "mount -t proc -o subset=pid proc /proc", prefix: nobody},
		"no proc":            {setup: "mount -t tmpfs none /proc"},
		"another pid space":  {prefix: "unshare --pid --fork --kill-child --mount-proc ", hidden: true},
		"nobody, hidepid=2, no connector": {
			setup: "mount -t proc -o hidepid=2 proc /proc", prefix: unconnected + nobody, late: true,
		},
		"no proc, no connector": {setup: "mount -t tmpfs none /proc", prefix: unconnected, late: true},
		"no connector":          {prefix: unconnected},
		"with hidepid, alone":   {setup: "mount -t proc -o hidepid=2 proc /proc"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nats := streamtest.Start(t)
			command := tt.prefix + program
			if tt.setup != "" {
				if out, err := exec.Command("unshare", "--mount", "sh", "-c", tt.setup).CombinedOutput(); err != nil {
					t.Skipf("%v: %s", err, out)
				}
				command = "unshare --mount sh -c '" + tt.setup + ` && exec "$0" "$@"' ` + command
			}
			section := strings.Replace(conf(t, "--nats-url", nats.URL, "--host", "web1"), "command="+program,
				"command="+command, 1)
			// It lives on when it is RUNNING, for which supervisord takes up to a second more.
			silent(t, section+supervisordtest.Program("p", `sh -c "sleep 4; exit 3"`, "autorestart=true", "exitcodes=9"))
			js := nats.JetStream()
			ce, err := schema.Unmarshal[*schema.Bridge](waitStored(t, js, "supervisor.bridge.web1.started", 1)[0].Data())
			if err != nil {
				t.Fatal(err)
			}
			watch := ce.Data.Watch
			t.Logf("%+v", watch)
			if said := strings.Contains(watch.Problem, "before supervisord takes them for RUNNING"); said != tt.late {
				t.Errorf("programs are watched late: %v, and reported: %q", tt.late, watch.Problem)
			}

			exited := waitStored(t, js, "supervisor.event.*.p.*.process_state.exited", 2)[1]
			e := event(t, exited)
			switch {
			case tt.hidden && (watch == nil || watch.Problem == ""):
				t.Errorf("what is not watched is not reported: %+v", watch)
			case !tt.hidden && (e.Exit == nil || *e.Exit.Code != 3 || e.Exit.Source != schema.ExitFromKernel):
				t.Errorf("%s", exited.Data())
			}
		})
	}
}

// In a container the kernel reports no starts; what lives for a while has its reason.
func TestReasonsInContainer(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, for namespaces")
	}
	t.Parallel()
	nats := streamtest.Start(t)
	section := conf(t, "--nats-url", nats.URL, "--host", "web1")
	contained(t, section+supervisordtest.Program("p", `sh -c "sleep 1.2; kill -SEGV $$"`, "autorestart=true")+
		supervisordtest.Program("never", `sh -c "sleep 0.3; exit 7"`, "startretries=1"))
	js := nats.JetStream()
	ce, err := schema.Unmarshal[*schema.Bridge](waitStored(t, js, "supervisor.bridge.web1.started", 1)[0].Data())
	if err != nil || ce.Data.Watch == nil || strings.Join(ce.Data.Watch.Exits, " ") != schema.WatchPidfd {
		t.Errorf("%v %+v", err, ce.Data.Watch)
	}
	for subject, want := range map[string]string{
		"p.p.process_state.exited": "SIGSEGV", "never.never.process_state.fatal": "exit 7",
	} {
		for _, m := range waitStored(t, js, "supervisor.event.*."+subject, 1) {
			if e := event(t, m); !strings.HasPrefix(endText(e.Exit), want) {
				t.Errorf("%s", m.Data())
			}
		}
	}
}
