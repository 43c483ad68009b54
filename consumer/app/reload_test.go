package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"supernats/consumer/config"
	"supernats/consumer/fleettest"
	"supernats/consumer/web"
	"supernats/schema"
	"supernats/schema/stream"
)

// A file that is wrong changes nothing and says where; one that is right is in
// force at once. Both by HTTP too.
func TestReload(t *testing.T) {
	f := fleettest.New(t)
	path := filepath.Join(t.TempDir(), "f.yaml")
	write := func(text string) {
		t.Helper()
		text = "nats: {url: \"" + f.Server.URL + "\"}\nlisten: ''\n" + text
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func() (*config.Plan, error) {
		cfg, err := config.Load(path)
		if err != nil {
			return nil, err
		}
		return cfg.Plan()
	}
	write("rules:\n- {name: first, event: PROCESS_STATE_EXITED, expected: false}\n")
	valid, err := load()
	if err != nil {
		t.Fatal(err)
	}
	d := readyDaemon(t, valid.Config, func(o *Options) { o.Load = load })
	crashed := func(process, rule string) {
		t.Helper()
		f.WaitHandled(f.Publish(f.Crash(func(e *schema.Event) { e.Process = process })))
		subject := schema.AlertSubject("web1", "api", process, rule)
		f.Until("there is an alert on "+subject, func() bool {
			s, err := f.JS.Stream(t.Context(), stream.Alerts)
			if err != nil {
				return false
			}
			_, err = s.GetLastMsgForSubject(t.Context(), subject)
			return err == nil
		})
	}
	crashed("a", "first")

	write("rules:\n- {name: second, event: PROCESS_STATE_EXITED, if: 'exit.code ='}\n")
	err = d.Reload()
	if err == nil || !strings.HasPrefix(err.Error(), path+":4:") || !strings.Contains(err.Error(), "rules[0].if") {
		t.Errorf("a wrong file: %v", err)
	}
	crashed("b", "first")

	write("rules:\n- {name: second, event: PROCESS_STATE_EXITED, expected: false}\n")
	if err := d.Reload(); err != nil {
		t.Fatal(err)
	}
	// What the old rules had open is reported as over, since nobody will close it.
	f.Until("the new rules are in force", func() bool {
		_, err := f.Bucket(stream.AlertsBucket).Get(t.Context(), schema.AlertKey("first", "web1", "api", "a"))
		return err != nil
	})
	crashed("c", "second")
	d.Stop()
	without, err := New(valid, Options{Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	if err := without.Reload(); !errors.Is(err, web.ErrNoFile) {
		t.Errorf("without a file: %v", err)
	}
}
