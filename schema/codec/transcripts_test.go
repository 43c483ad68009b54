package codec_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"supernats/bridge/eventlistener"
	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/codec"
)

// Transcripts are what a listener read, byte for byte: supervisord.raw is of
// Debian's supervisord and recorded by
//
//	go test ./schema -run Transcripts -record -update
//
// goport.raw is written by hand after the source of ochinchina/supervisord.
const transcripts = "testdata/transcripts/"

var record = flag.Bool("record", false, "record the transcript of a real supervisord again")

const recordEnv = "SCHEMA_TEST_RECORD"

// The test binary is the listener whose transcript is recorded.
func init() {
	if file := os.Getenv(recordEnv); file != "" {
		if err := rawListener(file); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// rawListener appends every byte that it is sent to a file and says OK.
func rawListener(file string) error {
	out, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	in := bufio.NewReader(os.Stdin)
	for {
		if _, err := os.Stdout.WriteString("READY\n"); err != nil {
			return err
		}
		header, err := in.ReadString('\n')
		if err != nil {
			return nil
		}
		h, err := eventlistener.ParseHeader([]byte(header))
		if err != nil {
			return err
		}
		event := []byte(header)
		for range h.Len { // characters
			r, _, err := in.ReadRune()
			if err != nil {
				return err
			}
			event = append(event, string(r)...)
		}
		if _, err := out.Write(event); err != nil {
			return err
		}
		if _, err := os.Stdout.WriteString("RESULT 2\nOK"); err != nil {
			return err
		}
	}
}

const (
	identifier = "web 1: main" // any text
	weird      = "my.app-weird*>é"
)

// sections is the configuration of the recorded supervisord; more is added to
// it for a while.
func sections(self, file, more string) string {
	program := func(name, script string, settings ...string) string {
		return "[program:" + name + "]\ncommand=sh -c '" + script +
			"'\nautostart=false\nautorestart=false\nstartsecs=0\n" + strings.Join(settings, "\n") + "\n"
	}
	return "[eventlistener:supernats]\ncommand=" + self + "\nenvironment=" + recordEnv + "=\"" + file + "\"\n" +
		"events=EVENT\nbuffer_size=1000\nstartsecs=0\nstdout_logfile=NONE\n" +
		program(weird, "exec sleep 1000") +
		program("utf8", `printf "进程退出\\n"; printf "é: \\033[1mred\\n" >&2; exec sleep 1000`,
			"stdout_events_enabled=true", "stderr_events_enabled=true") +
		program("cut", `printf "\\344\\270"; exec sleep 1000`, "stdout_events_enabled=true") +
		program("talk", `printf "<!--XSUPERVISOR:BEGIN-->hello 进程\\n<b>&<!--XSUPERVISOR:END-->"; exec sleep 1000`,
			"stdout_capture_maxbytes=1MB") +
		program("crash", "exit 3") +
		program("done", "exit 0") +
		program("killed", "kill -9 $$") +
		program("fatal", "exit 1", "startsecs=1", "startretries=1") + more
}

// recordSupervisord plays a scenario and writes its transcript.
func recordSupervisord(t *testing.T) {
	dir := supervisordtest.Dir(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "transcript.raw")
	configure := func(more string) {
		t.Helper()
		if err := supervisordtest.WriteConf(dir, identifier, sections(self, file, more)); err != nil {
			t.Fatal(err)
		}
	}
	configure("")
	s := supervisordtest.StartIn(t, dir)
	read := func() string {
		b, _ := os.ReadFile(file)
		return string(b)
	}
	wait := func(n int, texts ...string) { // until a line holds them all, n times
		t.Helper()
		supervisordtest.Wait(t, 30*time.Second, func() bool {
			found := 0
			for _, event := range strings.Split(read(), "ver:3.0 ") {
				if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(event, text) }) {
					found++
				}
			}
			return found >= n
		}, "%q in the transcript", texts)
	}
	// supervisorctl reads its arguments in the encoding of the locale.
	start := func(name string) {
		t.Helper()
		if _, err := s.Call("supervisor.startProcess", name); err != nil {
			t.Fatal(err)
		}
	}

	wait(1, "SUPERVISOR_STATE_CHANGE_RUNNING")
	start(weird)
	start("utf8")
	wait(1, "PROCESS_LOG_STDOUT", "退出")
	wait(1, "PROCESS_LOG_STDERR")
	start("cut")
	wait(1, "Undecodable")
	start("talk")
	wait(1, "PROCESS_COMMUNICATION_STDOUT")
	if err := s.SendRemote("a type: of its own", "first line\n\nthird: é\n"); err != nil {
		t.Fatal(err)
	}
	wait(1, "REMOTE_COMMUNICATION")
	for i, name := range []string{"done", "crash", "killed"} {
		start(name)
		wait(i+1, "PROCESS_STATE_EXITED")
	}
	_, _ = s.Call("supervisor.startProcess", "fatal") // says that it did not start
	wait(1, "PROCESS_STATE_FATAL")
	s.MustCtl(t, "stop", "utf8")
	wait(1, "PROCESS_STATE_STOPPED", "processname:utf8")
	configure("[group:more]\nprograms=added\n[program:added]\ncommand=sleep 1000\nstartsecs=0\nnumprocs=2\nprocess_name=%(program_name)s_%(process_num)02d\n")
	s.MustCtl(t, "update")
	wait(1, "PROCESS_STATE_RUNNING", "processname:added_01 groupname:more")
	configure("")
	s.MustCtl(t, "update")
	wait(1, "PROCESS_GROUP_REMOVED")
	wait(1, "TICK_5")
	s.MustCtl(t, "reload")
	wait(2, "SUPERVISOR_STATE_CHANGE_RUNNING")
	if err := s.SendRemote("after the reload", ""); err != nil {
		t.Fatal(err)
	}
	wait(2, "REMOTE_COMMUNICATION")
	if err := os.WriteFile(transcripts+"supervisord.raw", []byte(read()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// framed is an event of a transcript: its header and its payload.
type framed struct{ header, payload string }

// replay runs a transcript through a listener that counts in a given way.
func replay(t *testing.T, transcript []byte, length eventlistener.Length) []framed {
	t.Helper()
	var events []framed
	l, err := eventlistener.New(eventlistener.Config{
		In: bytes.NewReader(transcript), Out: io.Discard, Length: length,
		Accept: func(_ context.Context, header, payload []byte) error {
			events = append(events, framed{string(header), string(payload)})
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Run(context.Background()); !errors.Is(err, eventlistener.ErrClosed) {
		t.Fatal(err)
	}
	return events
}

// talk sends events one by one, as supervisord does, to a listener that has to
// find out how to count.
func talk(t *testing.T, events []framed) (got []framed) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		answers := make(chan struct{}, 1)
		l, err := eventlistener.New(eventlistener.Config{
			In: ours, Out: answerer(answers), Length: eventlistener.LengthAuto,
			Accept: func(_ context.Context, header, payload []byte) error {
				got = append(got, framed{string(header), string(payload)})
				return nil
			},
			Warn: func(msg string) { t.Error(msg) },
		})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- l.Run(context.Background()) }()
		for _, e := range events {
			<-answers
			if _, err := io.WriteString(theirs, e.header+"\n"+e.payload); err != nil {
				t.Fatal(err)
			}
		}
		<-answers
		_ = theirs.Close()
		if err := <-done; !errors.Is(err, eventlistener.ErrClosed) {
			t.Error(err)
		}
	})
	return got
}

// answerer gets each answer.
type answerer chan<- struct{}

func (a answerer) Write(p []byte) (int, error) {
	a <- struct{}{}
	return len(p), nil
}

func decode(t *testing.T, f framed) *schema.Event {
	t.Helper()
	h, err := eventlistener.ParseHeader([]byte(f.header))
	if err != nil {
		t.Fatal(err)
	}
	return codec.Decode(codec.Raw{
		Event: h.Event, Server: h.Server, Pool: h.Pool, Serial: h.Serial, PoolSerial: h.PoolSerial, Payload: []byte(f.payload),
	}, "web1", "0123456789abcdef")
}

// What a real supervisord sends becomes what others read, and does so for ever.
func TestTranscripts(t *testing.T) {
	if *record {
		recordSupervisord(t)
	}
	update := flag.Lookup("update")
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	valid, err := compiler.Compile("../event.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 21, 19, 0, 31, 833512000, time.UTC)
	for _, tc := range []struct {
		name   string
		length eventlistener.Length
		facts  func(*testing.T, []framed, []*schema.Event)
	}{
		{name: "supervisord", length: eventlistener.LengthChars, facts: supervisordFacts},
		{name: "goport", length: eventlistener.LengthBytes, facts: goportFacts},
	} {
		t.Run(tc.name, func(t *testing.T) {
			transcript, err := os.ReadFile(transcripts + tc.name + ".raw")
			if err != nil {
				t.Fatal(err)
			}
			frames := replay(t, transcript, tc.length)
			if diff := cmp.Diff(frames, talk(t, frames), cmp.AllowUnexported(framed{})); diff != "" {
				t.Errorf("what --length auto makes of it (-want +got):\n%s", diff)
			}
			var events []*schema.Event
			var got bytes.Buffer
			for _, f := range frames {
				e := decode(t, f)
				b, err := schema.Marshal(e.Envelope(at))
				if err != nil {
					t.Fatal(err)
				}
				v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
				if err == nil {
					err = valid.Validate(v)
				}
				if err != nil {
					t.Errorf("%s\n%v", b, err)
				}
				events = append(events, e)
				got.Write(append(b, '\n'))
			}
			golden := transcripts + tc.name + ".jsonl"
			if update != nil && update.Value.String() == "true" {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("%s (-want +got), see -update:\n%s", golden, diff)
			}
			tc.facts(t, frames, events)
		})
	}
}

// one returns the only event that is wanted, or the first of several.
func one(t *testing.T, events []*schema.Event, what string, want func(*schema.Event) bool) *schema.Event {
	t.Helper()
	i := slices.IndexFunc(events, want)
	if i < 0 {
		t.Fatalf("the transcript has no %s", what)
	}
	return events[i]
}

func named(name, process string) func(*schema.Event) bool {
	return func(e *schema.Event) bool { return e.Event == name && e.Process == process }
}

// A recording that lacks one of these is no replacement for the last one.
func supervisordFacts(t *testing.T, frames []framed, events []*schema.Event) {
	for _, name := range []string{
		schema.SupervisorStateChangeRunning, schema.Tick5, schema.RemoteCommunication,
		schema.ProcessStateStarting, schema.ProcessStateRunning, schema.ProcessStateBackoff, schema.ProcessStateFatal,
		schema.ProcessStateExited, schema.ProcessStateStopping, schema.ProcessStateStopped,
		schema.ProcessLogStdout, schema.ProcessLogStderr, schema.ProcessCommunicationStdout,
		schema.ProcessGroupAdded, schema.ProcessGroupRemoved,
	} {
		one(t, events, name, func(e *schema.Event) bool { return e.Event == name })
	}
	for i, f := range frames {
		h, err := eventlistener.ParseHeader([]byte(f.header))
		if err != nil {
			t.Fatal(err)
		}
		if n := len([]rune(f.payload)); h.Len != n { // process.py, _eventEnvelope
			t.Errorf("event %d has a len of %d and %d characters", i, h.Len, n)
		}
		if h.Server != identifier {
			t.Errorf("event %d is of %q", i, h.Server)
		}
	}
	restarts := 0
	for i, e := range events[1:] {
		if e.Serial <= events[i].Serial {
			t.Errorf("serial %d comes after %d", e.Serial, events[i].Serial)
		}
		if e.PoolSerial == 0 {
			restarts++
		}
	}
	if restarts != 1 {
		t.Errorf("poolserial restarts %d times, not with the reload", restarts)
	}
	text := func(what string, e *schema.Event, want string) {
		t.Helper()
		if e.Data == nil || *e.Data != want {
			t.Errorf("%s is %+v", what, e)
		}
	}
	text("a line of UTF-8", one(t, events, "line", named(schema.ProcessLogStdout, "utf8")), "进程退出\n")
	text("a character cut in two", one(t, events, "line", named(schema.ProcessLogStdout, "cut")),
		`Undecodable: b'\xe4\xb8'`)
	text("a captured text", one(t, events, "text", named(schema.ProcessCommunicationStdout, "talk")), "hello 进程\n<b>&")
	remote := one(t, events, "remote", named(schema.RemoteCommunication, ""))
	text("a remote event", remote, "first line\n\nthird: é\n")
	if remote.Type != "a type: of its own" {
		t.Errorf("its type is %q", remote.Type)
	}
	if e := one(t, events, "odd name", named(schema.ProcessStateRunning, weird)); e.Group != weird {
		t.Errorf("the group of %s is %q", weird, e.Group)
	}
	for process, want := range map[string]bool{"done": true, "crash": false, "killed": false} {
		e := one(t, events, "exit of "+process, named(schema.ProcessStateExited, process))
		if e.UnexpectedExit() == want || e.PID == 0 {
			t.Errorf("the exit of %s is %+v", process, e)
		}
	}
	if e := one(t, events, "back-off", named(schema.ProcessStateBackoff, "fatal")); e.Tries == nil || *e.Tries != 1 ||
		e.PID != 0 {
		t.Errorf("the back-off is %+v", e)
	}
	if e := one(t, events, "stop", named(schema.ProcessStateStopped, "utf8")); e.FromState != "STOPPING" || e.PID == 0 {
		t.Errorf("the operator's stop is %+v", e)
	}
	one(t, events, "process of a group", func(e *schema.Event) bool {
		return e.Group == "more" && e.Process == "added_01"
	})
	if e := one(t, events, "group", named(schema.ProcessGroupAdded, "")); e.Group == "" {
		t.Errorf("the group is %+v", e)
	}
}

// What the Go port does otherwise.
func goportFacts(t *testing.T, frames []framed, events []*schema.Event) {
	wide := 0
	for i, f := range frames {
		h, err := eventlistener.ParseHeader([]byte(f.header))
		if err != nil {
			t.Fatal(err)
		}
		if h.Len != len(f.payload) {
			t.Errorf("event %d has a len of %d and %d bytes", i, h.Len, len(f.payload))
		}
		if len([]rune(f.payload)) < h.Len {
			wide++
		}
		if h.Serial != uint64(i+1) || h.PoolSerial != uint64(i+1) {
			t.Errorf("event %d has serial %d and poolserial %d", i, h.Serial, h.PoolSerial)
		}
	}
	if wide < 2 {
		t.Error("there are too few characters of several bytes")
	}
	exit := one(t, events, "exit", named(schema.ProcessStateExited, "api"))
	if exit.FromState != "RUNNING" || exit.Group != "api" || !exit.UnexpectedExit() {
		t.Errorf("the exit is %+v", exit)
	}
	log := one(t, events, "log", named(schema.ProcessLogStdout, "api"))
	if log.Channel != "stdout" || log.Data == nil || *log.Data != "进程退出\n" {
		t.Errorf("the log is %+v", log)
	}
	one(t, events, "log that is no text", func(e *schema.Event) bool {
		return e.Event == schema.ProcessLogStdout && bytes.Equal(e.DataBase64, []byte("cut: \xe4\xb8"))
	})
}

// An event of the Go port has the fields that the same event of Python's supervisord
// has, of the same types, and no other; it may lack some that it does not know.
func TestTranscriptsAgree(t *testing.T) {
	forms := map[string]map[string]map[string]string{}
	for _, name := range []string{"supervisord", "goport"} {
		golden, err := os.ReadFile(transcripts + name + ".jsonl")
		if err != nil {
			t.Fatal(err)
		}
		forms[name] = map[string]map[string]string{}
		for line := range bytes.Lines(golden) {
			var ce struct {
				Data map[string]any `json:"data"`
			}
			if err := json.Unmarshal(line, &ce); err != nil {
				t.Fatal(err)
			}
			event := ce.Data["event"].(string)
			if forms[name][event] == nil {
				forms[name][event] = map[string]string{}
			}
			for key, value := range ce.Data {
				forms[name][event][key] = fmt.Sprintf("%T", value)
			}
		}
	}
	compared := 0
	for event, got := range forms["goport"] {
		want, ok := forms["supervisord"][event]
		if !ok {
			continue
		}
		compared++
		for key, typ := range got {
			// Only this one cuts characters, and so has invalid text.
			if key != "data_base64" && want[key] != typ {
				t.Errorf("%s: %s is %s, of Python's supervisord %q", event, key, typ, want[key])
			}
		}
		for _, key := range []string{
			"group", "process", "from_state", "channel", "data", "type", "when", "expected", "tries",
		} {
			if want[key] != "" && got[key] == "" {
				t.Errorf("%s: there is no %s", event, key)
			}
		}
	}
	if compared < 8 {
		t.Errorf("only %d events are in both transcripts", compared)
	}
}
