package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"supernats/schema"
	"supernats/schema/program"
)

func TestRulesCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "supernats.yaml")
	const secret = "mail: {smarthost: 'h:25', from: a@b.c, to: [a@b.c], username: u, password_file: /is/not/there}\n"
	for _, c := range []struct {
		text           string
		code           int
		stdout, stderr string
	}{
		{
			text:   "rules:\n- name: a\n  loss: true\n  notfy: mail\n",
			code:   program.ExitUsage,
			stderr: `FILE:4:3: unknown key "rules[0].notfy": want one of `,
		},
		{
			text:   "max_age: 0s\nrules:\n- {}\n",
			code:   program.ExitUsage,
			stderr: "FILE:1:10: max_age: invalid value 0s: want a duration above zero: no event would be young enough to be reported\nFILE:3:3: rules[0].name: is missing; ",
		},
		{text: "rules: [\n", code: program.ExitUsage, stderr: "FILE:1:8: sequence end token ']' not found\n"},
		{
			text:   "receivers: []\nrules: [{name: a, loss: true, notify: [chat]}]\n",
			code:   program.ExitUsage,
			stderr: `FILE:2:40: rules[0].notify[0]: unknown receiver "chat": there are no receivers`,
		},
		{
			text:   secret,
			code:   program.ExitUsage,
			stderr: "FILE:1:81: mail.password_file: found \"/is/not/there\", there is no such file\n",
		},
		{
			text:   "mail: {smarthost: 'h:25', from: a@b.c, to: [a@b.c]}\nreceivers: [{name: x, mail: {}}]\nrules: [{name: a, event: PROCESS_STATE_FATAL}, {name: b, event: PROCESS_STATE_FATAL}, {name: c, event: PROCESS_STATE_FATAL}]\n",
			code:   program.ExitDone,
			stdout: "FILE: ok: 3 rules, 2 receivers\n",
		},
		{
			text:   "rules: [{name: a, event: PROCESS_STATE_FATAL, notify: [chat]}]\n",
			code:   program.ExitDone,
			stdout: "FILE: ok: 1 rule, 0 receivers\n",
		},
		{text: "rules: []\n", code: program.ExitDone, stdout: "FILE: ok: 0 rules, 0 receivers\n"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		named := func(s string) string { return strings.ReplaceAll(s, "FILE", path) }
		out, errs, code := supernats(t, "rules", "check", path)
		if code != c.code || out != named(c.stdout) || !strings.HasPrefix(errs, named(c.stderr)) || c.stderr == "" && errs != "" {
			t.Errorf("%q ended with %d, printed %q and %q", c.text, code, out, errs)
		}
	}
	// Globs that match nothing are no mistake, but may be one.
	i := newInstallation(t)
	i.state(schema.ProcessRecord{Host: "web1", Group: "api", Process: "api_00", State: "RUNNING"})
	hinted := "groups: [api, wrker]\nrules:\n- {name: a, event: PROCESS_STATE_FATAL, hosts: ['web.*', '^db$'], groups: api}\n"
	if err := os.WriteFile(path, []byte(hinted), 0o600); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		i.url: path + ": hint: groups[1] \"wrker\" matches none of 1 group: api\n" +
			path + ": hint: rules[0].hosts[0] \"web.*\" matches none of 1 host; it looks like a regular expression, did you mean the glob \"web*\"?\n" +
			path + ": hint: rules[0].hosts[1] \"^db$\" matches none of 1 host; it looks like a regular expression, and globs are meant: *, ?, [a-z] and {a,b}\n",
		"nats://127.0.0.1:1": path + ": hint: rules[0].hosts[1] \"^db$\" looks like a regular expression, and globs are meant: *, ?, [a-z] and {a,b}\n",
	} {
		if out, errs, code := supernats(t, "rules", "check", path, "--nats-url", url); code != program.ExitDone || out != path+": ok: 1 rule, 0 receivers\n" || errs != want {
			t.Errorf("%d %q %q, want %q", code, out, errs, want)
		}
	}
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errs, code := supernats(t, "rules", "check", "--no-files", path); code != program.ExitDone || out != path+": ok: 6 rules, 1 receiver\n" || errs != "" {
		t.Errorf("--no-files: %d %q %q", code, out, errs)
	}
	if out, errs, code := supernats(t, "rules", "check", path+"x"); code != program.ExitUsage || out != "" || !strings.Contains(errs, path+"x: no such file") {
		t.Errorf("no file: %d %q %q", code, out, errs)
	}
	for _, args := range [][]string{{"rules"}, {"rules", "check"}, {"rules", "check", path, path}} {
		if out, errs, code := supernats(t, args...); code != program.ExitUsage || out != "" || !strings.Contains(errs, "Try: supernats rules") {
			t.Errorf("%q: %d %q %q", args, code, out, errs)
		}
	}
}
