package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"supernats/schema/checkup"
	"supernats/schema/program/programtest"
)

// On a machine where supernats-bridge is, its findings about this machine's supervisord
// are among those of doctor, with their places.
func TestDoctorExaminesThisMachine(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "supervisord.conf")
	const text = "[supervisord]\n[eventlistener:supernats]\ncommand=/opt/none/supernats-bridge\nevents=EVENT\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ofHost := func() (list []checkup.Finding) {
		out, errs, _ := supernats(t, "doctor", "-o", "json", "--nats-url", "nats://127.0.0.1:1", "--supervisord-conf", conf)
		var all []checkup.Finding
		if err := json.Unmarshal([]byte(out), &all); err != nil {
			t.Fatalf("%v: %s %s", err, out, errs)
		}
		for _, f := range all {
			if f.Check == "host" {
				list = append(list, f)
			}
		}
		return list
	}

	programs := os.Getenv("PATH")
	t.Setenv("PATH", dir)
	if found := ofHost(); len(found) != 1 || found[0].Status != checkup.Fail ||
		!strings.Contains(found[0].Message, "there is no supernats-bridge") {
		t.Errorf("without the bridge's program: %+v", found)
	}

	t.Setenv("PATH", dir+":"+programs)
	programtest.Build(t, dir, "supernats/bridge/cmd/supernats-bridge")
	for _, f := range ofHost() {
		if strings.Contains(f.Message, "there is no program /opt/none/supernats-bridge") {
			if f.File != conf || f.Line != 3 || f.Section != "eventlistener:supernats" || f.Fix == "" {
				t.Errorf("%+v", f)
			}
			return
		}
	}
	t.Errorf("not found: %+v", ofHost())
}
