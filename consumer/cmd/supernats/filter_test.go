package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"supernats/consumer/inspect"
	"supernats/schema"
	"supernats/schema/program"
)

// A silence that matches nobody is said when it is made, and holds all the same.
func TestMuteSaysWhatItCovers(t *testing.T) {
	i := newInstallation(t)
	for _, process := range []string{"api_00", "api_01"} {
		for _, host := range []string{"web1", "web2"} {
			i.state(schema.ProcessRecord{Host: host, Group: "api", Process: process, State: "RUNNING"})
		}
	}
	i.state(schema.ProcessRecord{Host: "web3", Group: "old", Process: "old", State: "RUNNING", Gone: &schema.Time{Time: time.Now()}})
	i.host(schema.HostRecord{Host: "web1"})
	i.host(schema.HostRecord{Host: "web2"})
	i.host(schema.HostRecord{Host: "empty"})
	file := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(file, []byte("rules: [{name: down, state: FATAL}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct {
		args string
		want string
	}{
		{
			args: "--host web.* --group ~api",
			want: "It matches 0 of 4 processes and 0 of 3 hosts; globs are meant, not regular expressions.\n" +
				"--host \"web.*\" matches none of 3 hosts; it looks like a regular expression, did you mean the glob \"web*\"?\n" +
				"--group \"~api\" matches none of 1 group; it looks like a regular expression, did you mean the glob \"api\"?\n",
		},
		{args: "--host web*", want: "It matches 4 of 4 processes.\n"},
		{args: "--host web1 --process *_00", want: "It matches 1 of 4 processes and 0 of 3 hosts.\n"},
		{args: "--host empty", want: "It matches 0 of 4 processes and 1 of 3 hosts.\n"},
		{args: "--group old", want: "It matches 0 of 4 processes and 0 of 3 hosts; globs"},
		{args: "--all", want: "It matches 4 of 4 processes.\n"},
		{args: "--rule whatever", want: "It matches 4 of 4 processes.\n"},
		{
			args: "--rule dwn -c " + file,
			want: "--rule \"dwn\" matches none of 1 rule; did you mean \"down\"? (in " + file + ")\n",
		},
		{args: "--rule down -c " + file, want: "It matches 4 of 4 processes.\n"},
	} {
		out := i.run(append([]string{"mute", "--for", "1h", "--comment", "x", "-o", "table"}, strings.Fields(c.args)...)...)
		if !strings.Contains(out, c.want) || strings.Contains(out, "none of") && !strings.Contains(c.want, "none of") && c.args != "--group old" {
			t.Errorf("%s: %s", c.args, out)
		}
	}
	if out := i.run("mutes", "-o", "json"); strings.Count(out, `"id"`) != 9 {
		t.Errorf("%s", out)
	}

	out, errs, code := supernats(t, "mute", "--host", "web.*", "--for", "1h", "--comment", "x", "--nats-url", i.url)
	var m inspect.Mute
	if err := json.Unmarshal([]byte(out), &m); err != nil || code != program.ExitDone {
		t.Fatalf("%v %d %s", err, code, out)
	}
	if m.Covers == nil || m.Covers.Processes != 0 || m.Covers.KnownProcesses != 4 || m.Covers.KnownHosts != 3 || len(m.Covers.Hints) != 1 {
		t.Errorf("%+v", m.Covers)
	}
	if want := "supernats: silence " + m.ID + " matches 0 of 4 processes and 0 of 3 hosts; globs are meant, not regular expressions\nsupernats: --host \"web.*\" matches none"; !strings.HasPrefix(errs, want) {
		t.Errorf("%s", errs)
	}
}

func TestUnknownEvents(t *testing.T) {
	for event, want := range map[string]string{
		"PROCESS_STATE_EXITTED":     "did you mean PROCESS_STATE_EXITED?",
		"process_state_exited":      "did you mean PROCESS_STATE_EXITED?",
		"TICK_5,TICK_6":             `invalid name "TICK_6"; did you mean TICK_`,
		"PROCESS_STATE_.*":          "did you mean PROCESS_STATE_*?",
		"^TICK":                     "did you mean TICK",
		"crash":                     "want PROCESS_STATE_STOPPED, ",
		"org.supervisord.tick.tick": `invalid name "org.supervisord.tick.tick"`,
		"":                          `invalid name ""`,
		"supernats.bridge.loss":     "is not an event of supervisor: `supernats alerts`",
	} {
		for _, command := range []string{"tail", "replay"} {
			out, errs, code := supernats(t, command, "--event", event, "--nats-url", "nats://127.0.0.1:1")
			if code != program.ExitUsage || out != "" || !strings.Contains(errs, want) {
				t.Errorf("%s --event %s: %d %q %q", command, event, code, out, errs)
			}
		}
	}
}

func TestFiltersHint(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	out, errs, code := supernats(t, "replay", "--host", "web.*,db", "--group", "api*", "--nats-url", i.url)
	if want := "supernats: --host \"web.*\" looks like a regular expression, and globs are meant: did you mean \"web*\"?\n"; code != program.ExitDone || out != "" || errs != want {
		t.Errorf("%d %q %q", code, out, errs)
	}
	// web1.* may be a glob, and tail has not yet seen whether it matches.
	if out, errs, code := supernats(t, "tail", "--host", "web1.*,^db", "--until", "+500ms", "--nats-url", i.url); code != program.ExitDone || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, `did you mean "db"?`) {
		t.Errorf("%d %q %q", code, out, errs)
	}
}

// tail ends when --until is there, whether or not anything comes.
func TestTailUntil(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.fill()
	begun := time.Now()
	if out := i.run("tail", "--until", "+1s"); out != "" || time.Since(begun) > 10*time.Second {
		t.Errorf("%v: %q", time.Since(begun), out)
	}

	lines, _, wait := i.tail("--since", "2h", "--until", "+2s")
	i.fill()
	var got []uint64
	for lines.Scan() {
		got = append(got, serials(t, lines.Text())...)
	}
	if err := wait(); err != nil || !slices.Equal(got, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}) {
		t.Errorf("%v %v", err, got)
	}

	// All of it is over.
	if out := i.run("tail", "--since", "2h", "--until", i.at(2).Format(time.RFC3339)); !slices.Equal(serials(t, out), []uint64{1, 2, 3}) {
		t.Errorf("%s", out)
	}
	for args, want := range map[string]string{
		"tail --until 5m":                "is in the past, and tail prints what is to come: give --since too",
		"tail --since 5m --until 10m":    "is before --since",
		"replay --since 5m --until 10m":  "is before --since",
		"replay --since +5m --until +1m": "is before --since",
	} {
		if out, errs, code := supernats(t, strings.Fields(args)...); code != program.ExitUsage || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%s: %d %q %q", args, code, out, errs)
		}
	}
}
