package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/program"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// binary is the program under test, built once; the configuration file that it finds by
// itself is systemFile, which is not there unless a test writes it.
var binary, systemFile string

func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "supernats")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "supernats")
	systemFile = filepath.Join(dir, "etc", "supernats.yaml")
	if out, err := exec.Command("go", "build", "-o", binary, "-ldflags", "-X supernats/schema/program.Version=v1.2.3 -X supernats/consumer/cmd/supernats/frame.SystemConfig="+systemFile, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s%v\n", out, err)
		return 1
	}
	return m.Run()
}

// command is a run of the program in an environment without settings.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = []string{"HOME=" + t.TempDir(), "TZ=UTC", "PATH=" + os.Getenv("PATH")}
	return cmd
}

// supernats runs the program to its end.
func supernats(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := command(t, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// installation is a server with a few events in it.
type installation struct {
	*testing.T
	server *streamtest.Server
	js     jetstream.JetStream
	url    string
	// base is the time of the first event; each is a second after the one before.
	base time.Time
	n    int
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	s := streamtest.Start(t)
	i := &installation{T: t, server: s, js: s.JetStream(), url: s.URL, base: time.Now().Add(-time.Hour).UTC().Truncate(time.Second)}
	if err := stream.EnsureAll(t.Context(), i.js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	return i
}

// newInstallationFor is one on a server with users; one of them is called all, and its
// password is x, as is that of every user.
func newInstallationFor(t *testing.T, users map[string]*server.Permissions) *installation {
	t.Helper()
	s := streamtest.Start(t, func(o *server.Options) {
		for name, p := range users {
			o.Users = append(o.Users, &server.User{Username: name, Password: "x", Permissions: p})
		}
	})
	i := &installation{T: t, server: s, base: time.Now().Add(-time.Hour).UTC().Truncate(time.Second)}
	i.url = i.as("all")
	i.js = streamtest.Connect(t, i.url)
	if err := stream.EnsureAll(t.Context(), i.js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	return i
}

// as is the URL of the server for a user.
func (i *installation) as(user string) string {
	return strings.Replace(i.server.URL, "://", "://"+user+":x@", 1)
}

// fill stores five events.
func (i *installation) fill() {
	api := schema.Event{Host: "web1", Group: "api", Process: "api_00"}
	i.event(api, func(e *schema.Event) { e.Event, e.FromState = schema.ProcessStateStarting, "STOPPED" })
	i.event(api, func(e *schema.Event) {
		e.Event, e.FromState, e.PID, e.Expected = schema.ProcessStateExited, "RUNNING", 42, new(false)
		e.Exit = &schema.Exit{Code: new(3)}
	})
	i.event(schema.Event{Host: "db1.example.com"}, func(e *schema.Event) { e.Event, e.When = schema.Tick5, new(int64(1201063880)) })
	i.event(schema.Event{Host: "db1.example.com", Group: "my.app-weird*>é", Process: "my.app-weird*>é"}, func(e *schema.Event) {
		e.Event, e.Channel, e.Data = schema.ProcessLogStdout, "stdout", new("one\ntwo\n")
	})
	i.event(schema.Event{Host: "db1.example.com"}, func(e *schema.Event) {
		e.Event, e.Type, e.Data = schema.RemoteCommunication, "deploy now", new("")
	})
}

func (i *installation) event(e schema.Event, change func(*schema.Event)) []byte {
	i.Helper()
	change(&e)
	i.n++
	e.Server, e.Boot, e.Serial, e.Pool = "supervisor", "4f0c6d1e2a90b7c3", uint64(i.n), "supernats"
	b, err := schema.Marshal(e.Envelope(i.at(i.n - 1)))
	if err != nil {
		i.Fatal(err)
	}
	i.publish(e.Subject(), b)
	return b
}

func (i *installation) at(second int) time.Time {
	return i.base.Add(time.Duration(second) * time.Second)
}

func (i *installation) publish(subject string, payload []byte) {
	i.Helper()
	if _, err := i.js.Publish(i.Context(), subject, payload); err != nil {
		i.Fatal(err)
	}
}

func (i *installation) state(s schema.ProcessRecord) {
	i.Helper()
	i.put(stream.StateBucket, schema.StateKey(s.Host, s.Group, s.Process), s)
}

// run runs a command on this installation; it must succeed, and say nothing
// beside.
func (i *installation) run(args ...string) (stdout string) {
	i.Helper()
	out, errs, code := supernats(i.T, append(args, "--nats-url", i.url)...)
	if code != program.ExitDone || errs != "" {
		i.Fatalf("%q ended with %d: %s", args, code, errs)
	}
	return out
}

func TestVersion(t *testing.T) {
	for _, arg := range []string{"version", "--version"} {
		if out, errs, code := supernats(t, arg); out != "supernats v1.2.3\n" || errs != "" || code != program.ExitDone {
			t.Errorf("%s: %q %q %d", arg, out, errs, code)
		}
	}
}

func TestHelp(t *testing.T) {
	out, errs, code := supernats(t, "--help")
	if code != program.ExitDone || errs != "" {
		t.Errorf("%q %d", errs, code)
	}
	for _, want := range []string{"consume", "ps", "hosts", "tail", "replay", "alerts", "mute", "mutes", "unmute", "test-alert", "doctor", "version", "--config", "--nats-url", "--nats-creds"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in %s", want, out)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bad := file("bad.yaml", "max_age: 1h\nembedded:\n  listen: x\n")
	typo := file("typo.yaml", "rulez: []\n")
	secret := file("mail.yaml", "mail:\n  smarthost: 127.0.0.1:25\n  tls: none\n  from: a@example.com\n  to: [b@example.com]\n  username: u\n  password_file: "+dir+"/none\n")
	try := func(args []string) string {
		switch {
		case len(args) > 2 && args[1] == "-c":
			return "supernats rules check " + args[2]
		case len(args) == 0 || args[0] == "frobnicate":
			return "supernats --help"
		case args[0] == "hosts", args[0] == "alerts":
			return "supernats " + args[0] + " list --help"
		}
		return "supernats " + args[0] + " --help"
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{want: "expected one of"},
		{args: []string{"frobnicate"}, want: "frobnicate"},
		{args: []string{"ps", "--frobnicate"}, want: "--frobnicate"},
		{args: []string{"replay", "--host", "["}, want: `invalid glob "[": want a name with *, ?, [a-z] and {a,b}`},
		{args: []string{"replay", "--event", "{a"}, want: `invalid glob "{a"`},
		{args: []string{"tail", "--group", "a["}, want: `invalid glob "a["`},
		{args: []string{"ps", "a["}, want: `invalid glob "a["`},
		{args: []string{"hosts", "a["}, want: `invalid glob "a["`},
		{args: []string{"alerts", "--rule", "a["}, want: `invalid glob "a["`},
		{args: []string{"unmute"}, want: "<id>"},
		{args: []string{"ps", "--process", "["}, want: `invalid glob "["`},
		{
			args: []string{"replay", "--since", "yesterday"},
			want: `invalid time "yesterday": want a duration back from now (90s, 2h, 7d) or RFC 3339`,
		},
		{args: []string{"replay", "--until", "-5m"}, want: "--until"},
		{args: []string{"replay", "--until", "2026-11-21"}, want: `invalid time "2026-11-21"`},
		{args: []string{"replay", "--limit=-1"}, want: "--limit: invalid value -1: want 1 or more"},
		{args: []string{"tail", "--limit", "many"}, want: "--limit"},
		{args: []string{"replay", "-o", "xml"}, want: `"table","json","jsonl"`},
		{args: []string{"ps", "-o", ""}, want: "table"},
		{args: []string{"ps", "--log-level", "loud"}, want: `"trace","debug","info","warn","error"`},
		{
			args: []string{"ps", "--nats-user", "a", "--nats-creds", "b"},
			want: "creds and user are set: want one of",
		},
		{
			args: []string{"ps", "--nats-url", "a", "--nats-context", "b"},
			want: "url a and context b are set: want one of them",
		},
		{args: []string{"ps", "--nats-tls-cert", "a"}, want: "a TLS certificate or its key is missing"},
		{
			args: []string{"consume", "-c", bad},
			want: bad + `:3:11: embedded.listen: invalid value "x": want host:port`,
		},
		{args: []string{"ps", "-c", typo}, want: typo + `:1:1: unknown key "rulez": want one of `},
		{args: []string{"consume", "-c", secret}, want: "password_file"},
		{args: []string{"consume", "-c", dir + "/none.yaml"}, want: "no such file"},
	} {
		out, errs, code := supernats(t, c.args...)
		if code != program.ExitUsage || out != "" || !strings.Contains(errs, c.want) || !strings.HasPrefix(errs, "supernats: ") || !strings.HasSuffix(errs, "\nTry: "+try(c.args)+"\n") {
			t.Errorf("%q ended with %d, printed %q and %q", c.args, code, out, errs)
		}
	}
	cmd := command(t, "consume")
	cmd.Env = append(cmd.Env, "SUPERNATS_CONFIG="+typo)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), typo+":1:1:") {
		t.Errorf("SUPERNATS_CONFIG: %s", out)
	}
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"ps"}, {"hosts"}, {"tail"}, {"replay"}, {"alerts"}, {"mutes"}, {"test-alert"}, {"unmute", "x"}, {"mute", "--all", "--for", "1h", "--comment", "x"}} {
		// Nobody listens on port 1.
		out, errs, code := supernats(t, append(args, "--nats-url", "nats://127.0.0.1:1")...)
		if code != program.ExitFailed || out != "" || !strings.Contains(errs, "nats://127.0.0.1:1") || !strings.Contains(errs, "is `supernats consume` or a nats-server running? --nats-url says where") {
			t.Errorf("%q ended with %d: %q", args, code, errs)
		}
	}
}

func TestNothingIsThereYet(t *testing.T) {
	s := streamtest.Start(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{args: []string{"ps"}, want: "bucket supervisor_state is missing: it is filled by `supernats consume`"},
		{args: []string{"hosts"}, want: "bucket supervisor_hosts is missing"},
		{args: []string{"alerts"}, want: "bucket supervisor_alerts is missing"},
		{args: []string{"mutes"}, want: "bucket supervisor_mutes is missing"},
		{args: []string{"unmute", "x"}, want: "bucket supervisor_mutes is missing"},
		{
			args: []string{"mute", "--all", "--for", "1h", "--comment", "x"},
			want: "bucket supervisor_mutes is missing",
		},
		{
			args: []string{"tail"},
			want: "stream SUPERVISOR: nats: API error: code=404 err_code=10059 description=stream not found (it is created by `supernats consume` and by the first supernats-bridge)",
		},
		{args: []string{"replay"}, want: "it is created by `supernats consume`"},
	} {
		out, errs, code := supernats(t, append(c.args, "--nats-url", s.URL)...)
		if code != program.ExitFailed || out != "" || !strings.Contains(errs, c.want) {
			t.Errorf("%q ended with %d, printed %q and %q", c.args, code, out, errs)
		}
	}
}
