package alertcmd

import (
	"testing"

	"supernats/schema"
)

// People name an alert by what `supernats alerts` shows of it.
func TestChoose(t *testing.T) {
	open := func(id, rule, host, group, process string) schema.Alert {
		return schema.Alert{
			Incident: id, Rule: rule, Host: host, Group: group, Process: process, Phase: schema.PhaseFiring,
		}
	}
	over := open("exit/web2/1", "exit", "web2", "api", "a")
	over.Phase = schema.PhaseResolved
	records := []schema.Alert{
		open("exit/web1/1", "exit", "web1", "api", "a"), open("few/web1/2", "few", "web1", "api", ""),
		open("crash/web1/3", "crash", "", "db", ""), open("silent/web9/4", "silent", "web9", "", ""), over,
	}
	for name, want := range map[string]string{
		"exit/web1/1": "exit/web1/1", "exit": "exit/web1/1", "web1/api:a": "exit/web1/1", "api:a": "exit/web1/1",
		"few/web1": "few/web1/2", "api:*": "few/web1/2", "web1/api:*": "few/web1/2", "few/web1/api:*": "few/web1/2",
		"db": "crash/web1/3", "crash/db:*": "crash/web1/3", "db:*": "crash/web1/3", "web9": "silent/web9/4",
		"exit/web2/1": "", // it is over
		"web1":        "", "web2/api:a": "", "*": "", ":*": "", "": "",
	} {
		got := ""
		if a, err := choose(records, name, false); err == nil {
			got = a.Incident
		}
		if got != want {
			t.Errorf("%q means %q, want %q", name, got, want)
		}
	}
}
