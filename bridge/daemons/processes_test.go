package daemons

import (
	"slices"
	"strings"
	"testing"

	"supernats/bridge/supervisord/supervisordtest"
)

// A command line is that of a supervisord if it runs it, and that of a bridge if it is one.
func TestCommandLines(t *testing.T) {
	for _, c := range []struct {
		line           string
		daemon, bridge bool
	}{
		{line: "vi /etc/supervisord"},
		{line: "grep supervisord"},
		{line: "python3 other.py supervisord"},
		{line: "/usr/bin/supervisorctl status"},
		{line: "supernats-bridge doctor -o json"},
		{line: "supernats-bridge conf --host web1"},
		{line: "env supernats-bridge --host web1"},
		{line: ""},
		{line: "/usr/bin/supervisord -n", daemon: true},
		{line: "/usr/bin/python3 /usr/bin/supervisord -c /x", daemon: true},
		{line: "python3 -u -s /opt/supervisord", daemon: true},
		{line: "supernats-bridge", bridge: true},
		{line: "/opt/supernats-bridge --host web1", bridge: true},
		{line: "/opt/supernats-bridge-1.2 run", bridge: true},
	} {
		argv := strings.Split(c.line, " ")
		if got := isDaemon(argv); got != c.daemon {
			t.Errorf("%q: supervisord %v", c.line, got)
		}
		if got := isBridge(argv); got != c.bridge {
			t.Errorf("%q: bridge %v", c.line, got)
		}
	}
}

// A supervisord that runs is found with its configuration.
func TestLook(t *testing.T) {
	s := supervisordtest.Start(t, supervisordtest.Program("app", "sleep 1000"))
	m := Look()
	i := slices.IndexFunc(m.Daemons, func(r Running) bool { return r.PID == s.PID() })
	if i < 0 {
		t.Fatalf("not found: %+v", m)
	}
	if r := m.Daemons[i]; !strings.HasSuffix(r.Conf, "/supervisord.conf") || r.Contained || len(r.Bridges) > 0 {
		t.Errorf("%+v", r)
	}
}
