package main

import (
	"encoding/json"
	"strings"
	"testing"

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
