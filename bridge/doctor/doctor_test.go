package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"supernats/bridge/daemons"
	"supernats/bridge/listeners"
	"supernats/bridge/supervisordconf"
	"supernats/schema"
	"supernats/schema/checkup"
)

// examine returns what is found in a configuration, without what is ok.
func examine(t *testing.T, conf string, o Options) []checkup.Finding {
	t.Helper()
	o.Conf = filepath.Join(t.TempDir(), "supervisord.conf")
	if err := os.WriteFile(o.Conf, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	if o.ReadFlags == nil {
		o.ReadFlags = func([]string) (listeners.Flags, error) { return listeners.Flags{Host: "web1"}, nil }
	}
	if o.Machine == nil {
		o.Machine = func() daemons.Machine { return daemons.Machine{} }
	}
	var found []checkup.Finding
	for _, f := range Examine(t.Context(), o) {
		if f.Status != checkup.OK {
			found = append(found, f)
		}
	}
	return found
}

// about returns the findings of a check as messages without their place, and fixes.
func about(found []checkup.Finding, check string) (messages, fixes []string) {
	for _, f := range found {
		if f.Check == check {
			_, message, _ := strings.Cut(f.Message, "]: ")
			messages = append(messages, message)
			fixes = append(fixes, f.Fix)
		}
	}
	return messages, fixes
}

// What cannot be read is a failure with its line, and nothing else is said to be ok.
func TestBrokenConfiguration(t *testing.T) {
	found := examine(t, "[supervisord]\nnonsense\n", Options{})
	if len(found) != 1 || found[0].Status != checkup.Fail || !strings.Contains(found[0].Message, "supervisord.conf:2") {
		t.Errorf("%+v", found)
	}
}

// A machine without a section is left alone where only those with one are examined, and
// that there is none is a failure else.
func TestNoSection(t *testing.T) {
	if found := examine(t, "[supervisord]\n", Options{OnlyWithSection: true}); found != nil {
		t.Errorf("%+v", found)
	}
	found := examine(t, "[supervisord]\n", Options{})
	if checkup.Failed(found) == 0 || !strings.Contains(found[len(found)-1].Fix, "supernats-bridge conf >> ") {
		t.Errorf("%+v", found)
	}
}

// Where the kernel does not say how processes end, the log is all there is.
func TestReasonsWithoutKernel(t *testing.T) {
	const conf = "[supervisord]\nloglevel=critical\nlogfile=/dev/null\n"
	messages, _ := about(examine(t, conf, Options{LackKernelExits: true}), "supervisord")
	text := strings.Join(messages, "\n")
	if strings.Count(text, "why a program died, or could not be started") != 2 {
		t.Errorf("%s", text)
	}
}

// Two sections that publish one event under two names are found; those of `conf`, which
// share a host, and those that skip what the other publishes, are not.
func TestHostNames(t *testing.T) {
	const conf = "[supervisord]\n[eventlistener:a]\ncommand=/bin/supernats-bridge --host web1\nevents=PROCESS_STATE,TICK_60\n" +
		"[eventlistener:b]\ncommand=/bin/supernats-bridge --host web2\nevents=PROCESS_LOG,TICK_60\n"
	for _, tc := range []struct {
		name string
		skip []string
		want bool
	}{
		{name: "both publish ticks", want: true},
		{name: "one skips them", skip: []string{"TICK"}, want: false},
	} {
		read := func(args []string) (listeners.Flags, error) {
			return listeners.Flags{Host: args[1], Skip: tc.skip}, nil
		}
		messages, _ := about(examine(t, conf, Options{ReadFlags: read}), "section")
		if got := strings.Contains(strings.Join(messages, "\n"), `as host "web2"`); got != tc.want {
			t.Errorf("%s: %q", tc.name, messages)
		}
	}
}

// A section's command is read with the variables of its own process, and ours stay.
func TestVariables(t *testing.T) {
	t.Setenv("SUPERNATS_HOST", "ours")
	var host, level string
	read := func([]string) (listeners.Flags, error) {
		host, level = os.Getenv("SUPERNATS_HOST"), os.Getenv("SUPERNATS_LOG_LEVEL")
		return listeners.Flags{}, nil
	}
	examine(t, "[supervisord]\nenvironment=SUPERNATS_LOG_LEVEL=debug\n[eventlistener:a]\n"+
		"command=/usr/bin/env supernats-bridge\nevents=EVENT\nenvironment=SUPERNATS_HOST=\"a b\"\n", Options{ReadFlags: read})
	if host != "a b" || level != "debug" || os.Getenv("SUPERNATS_HOST") != "ours" || os.Getenv("SUPERNATS_LOG_LEVEL") != "" {
		t.Errorf("host %q, level %q; after it %q", host, level, os.Getenv("SUPERNATS_HOST"))
	}
}

// An environment= without quotation marks gets them.
func TestQuotePairs(t *testing.T) {
	for text, want := range map[string]string{
		"A=b":                             `A="b"`,
		"URL=nats://a:4222,nats://b:4222": `URL="nats://a:4222,nats://b:4222"`,
		`A=x@y,B="c"`:                     `A="x@y",B="c"`,
		"A=b,user:x=y@z":                  `A="b,user:x=y@z"`,
	} {
		if d := cmp.Diff(want, quotePairs(text)); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
}

// A fix never leaves out an event that a section had.
func TestSetEventsKeepsAll(t *testing.T) {
	found := examine(t, "[supervisord]\n[eventlistener:a]\ncommand=/bin/supernats-bridge\n"+
		"events=process_state_exited,PROCESS_LOG,TICK_3600\n", Options{})
	_, fixes := about(found, "events")
	if len(fixes) == 0 {
		t.Fatalf("%+v", found)
	}
	for _, want := range []string{"PROCESS_STATE", "PROCESS_LOG", "TICK", schema.RemoteCommunication, "PROCESS_GROUP"} {
		if !strings.Contains(fixes[0], want) {
			t.Errorf("no %s in %s", want, fixes[0])
		}
	}
}

func TestAddressesOfPorts(t *testing.T) {
	for port, want := range map[string]string{
		"9001": "127.0.0.1:9001", "*:9001": "127.0.0.1:9001", ":9001": "127.0.0.1:9001",
		"10.0.0.1:9001": "10.0.0.1:9001", "localhost:9001": "localhost:9001",
	} {
		if got := localAddress(port); got != want {
			t.Errorf("%s: %s, want %s", port, got, want)
		}
	}
}

// supervisord is asked over whichever server it has; where it cannot be asked, nothing is
// said about what it runs.
func TestAsksOverWhatThereIs(t *testing.T) {
	for _, c := range []struct{ name, text, key string }{
		{name: "a socket", text: "[unix_http_server]\nfile=/run/supervisor.sock\n", key: "file"},
		{name: "a port", text: "[inet_http_server]\nport=*:9001\n", key: "port"},
		{name: "both", text: "[inet_http_server]\nport=9001\n[unix_http_server]\nfile=/run/supervisor.sock\n", key: "file"},
		{name: "neither", text: ""},
	} {
		path := filepath.Join(t.TempDir(), "supervisord.conf")
		if err := os.WriteFile(path, []byte("[supervisord]\n"+c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		conf, err := supervisordconf.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		h := &host{conf: conf}
		h.daemon.PID = os.Getpid()
		client, _, key := h.client()
		if key != c.key || (client == nil) != (c.key == "") {
			t.Errorf("%s: asks by %q", c.name, key)
		}
		if c.key == "" {
			if checkRunning(t.Context(), h); h.hasAsked {
				t.Error("nobody was asked")
			}
		}
	}
}

// A bridge that has outlived its supervisord is found by the spool that it holds, and only by
// that.
func TestOrphans(t *testing.T) {
	h := &host{machine: daemons.Machine{Orphans: []daemons.Bridge{{PID: 4711}, {PID: 4712}}}}
	b := &listeners.Bridge{Section: &supervisordconf.Section{Name: "eventlistener:supernats", Places: []supervisordconf.Place{{File: "c", Line: 1}}}}
	checkOrphans(h, b, []int{17, 4712})
	found := h.report.Findings
	if len(found) != 1 || found[0].Status != checkup.Warn || !strings.Contains(found[0].Message, "process 4712") || found[0].Fix != "kill 4712" {
		t.Errorf("%+v", found)
	}
}

// What programs print and nobody keeps is said, and is no fault; what a container's runtime
// keeps is not said.
func TestOutputThatIsKeptNowhere(t *testing.T) {
	for _, c := range []struct{ name, lines, want string }{
		{name: "nothing", lines: "stdout_logfile=NONE\nstderr_logfile=/dev/null\n", want: "of a log: app"},
		{name: "syslog", lines: "stdout_logfile=syslog\nredirect_stderr=true\n", want: "of a log: app"},
		{name: "one of both", lines: "stdout_logfile=NONE\n"},
		{name: "a container", lines: "stdout_logfile=/dev/stdout\nstderr_logfile=/dev/stderr\n"},
	} {
		h := &host{conf: mustRead(t, "[supervisord]\n[program:app]\ncommand=sleep 1\n"+c.lines)}
		checkPrograms(t.Context(), h)
		text := ""
		for _, f := range h.report.Findings {
			text += string(f.Status) + f.Message
		}
		if (text == "") != (c.want == "") || !strings.Contains(text, c.want) || text != "" && !strings.HasPrefix(text, "ok") {
			t.Errorf("%s: %q", c.name, text)
		}
	}
}

func mustRead(t *testing.T, text string) *supervisordconf.Configuration {
	t.Helper()
	path := filepath.Join(t.TempDir(), "supervisord.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	conf, err := supervisordconf.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return conf
}
