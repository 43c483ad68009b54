package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema/natsconn/natsconntest"
	"supernats/schema/program"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

func TestInit(t *testing.T) {
	s := streamtest.Start(t)
	file := natsconntest.File(t, "c.yaml", "nats: {url: '"+s.URL+"', streams: {SUPERVISOR: 64MiB, supervisor_state: 8MiB}}\n")
	type listed struct {
		Name     string `json:"name"`
		Created  bool   `json:"created"`
		MaxBytes int64  `json:"max_bytes"`
		Replicas int    `json:"replicas"`
	}
	run := func(args ...string) (list []listed, errs string) {
		t.Helper()
		out, errs, code := supernats(t, append([]string{"init", "-o", "json", "-c", file}, args...)...)
		if err := json.Unmarshal([]byte(out), &list); err != nil || code != program.ExitDone {
			t.Fatalf("%d %q %q: %v", code, out, errs, err)
		}
		return list, errs
	}
	list, errs := run("--replicas", "3")
	if len(list) != 8 || list[0].Name != stream.Events || !list[0].Created || list[0].MaxBytes != 64<<20 || list[3].MaxBytes != 8<<20 || list[0].Replicas != 1 {
		t.Errorf("%+v", list)
	}
	if !strings.Contains(errs, "stream SUPERVISOR has 1 replica, not 3") {
		t.Errorf("it does not say that there are no replicas: %q", errs)
	}
	again, errs := run()
	if len(again) != 8 || again[0].Created || errs != "" {
		t.Errorf("the second time: %+v %q", again, errs)
	}
	if _, errs, code := supernats(t, "init", "-c", file, "--replicas", "7"); code != program.ExitUsage || !strings.Contains(errs, "--replicas: invalid value 7: want 1 to 5") {
		t.Errorf("%d %q", code, errs)
	}

	if out, _, code := supernats(t, "init", "-c", file, "-o", "table"); code != program.ExitDone || !strings.Contains(out, "supervisor_state   was there  8MiB") || !strings.Contains(out, "  RESULT  ") {
		t.Errorf("%d\n%s", code, out)
	}
	if err := s.JetStream().DeleteStream(t.Context(), stream.Parked); err != nil {
		t.Fatal(err)
	}
	if list, _ := run(); !list[2].Created || list[1].Created {
		t.Errorf("%+v", list)
	}
}

// What exists stays as it is; what it lacks is named, with the command that changes it.
func TestInitOverOthers(t *testing.T) {
	i := newInstallation(t)
	file := natsconntest.File(t, "c.yaml", "nats: {url: '"+i.url+"', streams: {SUPERVISOR: 64MiB}}\n")
	out, errs, code := supernats(t, "init", "-c", file, "--replicas", "3", "-o", "jsonl")
	if code != program.ExitDone || strings.Contains(out, `"created":true`) {
		t.Errorf("%d %s", code, out)
	}
	for _, want := range []string{
		"supernats: stream SUPERVISOR was there with 1 replica, not 3; in a cluster: `nats stream edit SUPERVISOR --replicas=3`\n",
		"supernats: stream SUPERVISOR was there with 4GiB, not 64MiB: `nats stream edit SUPERVISOR --max-bytes=67108864`\n",
		"supernats: stream KV_supervisor_leases was there with 1 replica, not 3; in a cluster: `nats stream edit KV_supervisor_leases --replicas=3`\n",
	} {
		if !strings.Contains(errs, want) {
			t.Errorf("no %q in\n%s", want, errs)
		}
	}
	if n := strings.Count(errs, "\n"); n != 9 {
		t.Errorf("%d lines:\n%s", n, errs)
	}
}

func TestInitFails(t *testing.T) {
	none := streamtest.Start(t, func(o *server.Options) { o.JetStream = false })
	i := newInstallationFor(t, map[string]*server.Permissions{
		"all": {}, "reader": {Publish: &server.SubjectPermission{Allow: []string{"$JS.API.STREAM.INFO.*", "$JS.API.INFO"}}},
	})
	if err := i.js.DeleteStream(t.Context(), stream.Parked); err != nil {
		t.Fatal(err)
	}
	taken := streamtest.Start(t)
	if _, err := taken.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: "OLD", Subjects: []string{"supervisor.event.>"}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{name: "no replicas", args: []string{"--replicas", "0"}, code: program.ExitUsage, want: "--replicas: invalid value 0: want 1 to 5"},
		{name: "no number", args: []string{"--replicas", "x"}, code: program.ExitUsage, want: "--replicas"},
		{
			name: "without JetStream",
			args: []string{"--nats-url", none.URL},
			code: program.ExitFailed,
			want: "JetStream does not answer on " + none.URL + ": it is off, there or for this account, or a domain is needed (--nats-domain): `supernats doctor` says how to turn it on",
		},
		{
			name: "without rights",
			args: []string{"--nats-url", i.as("reader")},
			code: program.ExitFailed,
			want: `this NATS user may not publish $JS.API.STREAM.CREATE.SUPERVISOR_PARKED: add "$JS.API.STREAM.CREATE.SUPERVISOR_PARKED" to its publish permissions`,
		},
		{
			name: "another stream stores the same",
			args: []string{"--nats-url", taken.URL},
			code: program.ExitFailed,
			want: "create stream SUPERVISOR with at most 4GiB: nats: API error: code=400 err_code=10065 description=subjects overlap with an existing stream; another stream stores some of supervisor.event.>, ",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, errs, code := supernats(t, append([]string{"init"}, c.args...)...)
			if code != c.code || out != "" || !strings.HasPrefix(errs, "supernats: "+c.want) {
				t.Errorf("%d, printed %q and %q, want %q", code, out, errs, c.want)
			}
		})
	}
}
