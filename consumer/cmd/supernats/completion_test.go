package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"supernats/consumer/cmd/supernats/completion"
	"supernats/schema"
	"supernats/schema/program"
)

// completes returns what the program answers to a shell.
func completes(t *testing.T, words ...string) []string {
	t.Helper()
	out, errs, code := supernats(t, append([]string{completion.Command, "--"}, words...)...)
	if code != program.ExitDone || errs != "" {
		t.Errorf("%q: %d %s", words, code, errs)
	}
	var list []string
	for line := range strings.Lines(out) {
		word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		list = append(list, word)
	}
	return list
}

func (i *installation) forCompletion() {
	i.state(schema.ProcessRecord{Host: "web1", Group: "api", Process: "api_00", State: "RUNNING"})
	i.state(schema.ProcessRecord{Host: "web2", Group: "api", Process: "a name", State: "RUNNING"})
	i.mute(schema.Mute{ID: "m1", Comment: "c", Author: "a", Created: schema.Time{Time: time.Now()}, Expires: schema.Time{Time: time.Now().Add(time.Hour)}})
	now := schema.Time{Time: time.Now()}
	i.alert(schema.Alert{Incident: "fatal/web1/x", Rule: "fatal", Host: "web1", Phase: schema.PhaseFiring, Opened: now})
	i.alert(schema.Alert{Incident: "fatal/web2/y", Rule: "fatal", Host: "web2", Phase: schema.PhaseFiring, Opened: now, Acknowledged: &schema.Acknowledgement{By: "ann", Since: now}})
	i.alert(schema.Alert{Incident: "fatal/web3/z", Rule: "fatal", Host: "web3", Phase: schema.PhaseResolved, Opened: now, Closed: &now})
}

func TestComplete(t *testing.T) {
	i := newInstallation(t)
	i.forCompletion()
	url := "--nats-url=" + i.url
	file := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(file, []byte("receivers: [{name: chat, webhook: {url: 'http://x'}}]\nrules: [{name: down, state: FATAL}]\nnats: {url: '"+i.url+"'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		words []string
		want  []string
	}{
		{words: []string{"re"}, want: []string{"replay"}},
		{words: []string{"rules", ""}, want: []string{"check", "backtest"}},
		{words: []string{"--log-level", "w"}, want: []string{"warn"}},
		{words: []string{"ps", "--al"}, want: []string{"--all"}},
		{words: []string{"alerts", "show", url, "fat"}, want: []string{"fatal/web1/x", "fatal/web2/y", "fatal/web3/z"}},
		{words: []string{"ack", url, ""}, want: []string{"fatal/web1/x", "fatal/web2/y"}},
		{words: []string{"unack", url, "f"}, want: []string{"fatal/web2/y"}},
		{words: []string{"alerts", "-c", file, "--rule", ""}, want: []string{"down"}}, // alerts list
		{words: []string{"alerts", "--ru"}, want: []string{"--rule"}},
		{words: []string{"hosts", "--outp"}, want: []string{"--output"}},
		{words: []string{"replay", "--speed", "1"}, want: []string{"1", "10"}},
		{words: []string{"ps", "--state", "R"}, want: []string{"RUNNING"}},
		{words: []string{"man", "--dir", "x"}, want: []string{":files"}},
		{words: []string{"help", "al"}, want: []string{"alerts"}},
		{words: []string{"ps", "--all", "--ho"}, want: []string{"--host"}},
		{words: []string{"ps", "-o", "j"}, want: []string{"json", "jsonl"}},
		{words: []string{"ps", "--output=js"}, want: []string{"--output=json", "--output=jsonl"}},
		{words: []string{"ps", "--output", "=", "js"}, want: []string{"json", "jsonl"}}, // as bash divides
		{words: []string{"tail", "--event", "TICK_6"}, want: []string{"TICK_60"}},
		{words: []string{"ps", "-c", ""}, want: []string{":files"}},
		{words: []string{"rules", "check", "x"}, want: []string{":files"}},
		{words: []string{"ps", url, "--host", "web"}, want: []string{"web1", "web2"}},
		{words: []string{"ps", "--nats-url", i.url, "--group", ""}, want: []string{"api"}},
		{words: []string{url, "ps", "--process", "a"}, want: []string{"a name", "api_00"}},
		{words: []string{"ps", url, ""}, want: []string{"a name", "api_00", "web1", "web2"}},
		{words: []string{"hosts", url, "web2"}, want: []string{"web2"}},
		{words: []string{"unmute", url, ""}, want: []string{"m1"}},
		{words: []string{"unmute", url, "m1", ""}, want: []string{"m1"}},
		{words: []string{"test-alert", "-c", file, ""}, want: []string{"chat"}},
		{words: []string{"mute", "-c", file, "--rule", "d"}, want: []string{"down"}},
		{words: []string{"ps", "--nats-url=nats://127.0.0.1:1", "--host", ""}},
		{words: []string{"nonsense", "--host", ""}},
		{words: []string{"completion", "f"}, want: []string{"fish"}},
	} {
		if got := completes(t, c.words...); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.words, got, c.want)
		}
	}
	if got := completes(t, ""); len(got) < 10 || !slices.Contains(got, "consume") || slices.Contains(got, completion.Command) {
		t.Errorf("%q", got)
	}
	if got := completes(t); !slices.Contains(got, "consume") {
		t.Errorf("%q", got)
	}
	for _, flag := range completes(t, "ps", "-") {
		if !strings.HasPrefix(flag, "--") {
			t.Errorf("%s", flag)
		}
	}
	if _, errs, code := supernats(t, "completion", "tcsh"); code != program.ExitUsage || !strings.Contains(errs, `"bash","zsh","fish"`) {
		t.Errorf("%d %s", code, errs)
	}
}

// Every command that people see is completed, with every flag.
func TestCompleteEveryFlag(t *testing.T) {
	parser, err := commandLine().Parser(&cli{})
	if err != nil {
		t.Fatal(err)
	}
	flags := 0
	for _, leaf := range parser.Model.Leaves(true) {
		words := strings.Fields(leaf.Path())
		last := len(words) - 1
		if got := completes(t, words...); !slices.Contains(got, words[last]) {
			t.Errorf("%q is not completed: %q", words, got)
		}
		got := completes(t, append(words, "--")...)
		for _, f := range leaf.Flags {
			if flags++; !f.Hidden && !slices.Contains(got, "--"+f.Name) {
				t.Errorf("--%s of %q is not completed: %q", f.Name, words, got)
			}
		}
	}
	if flags < 50 {
		t.Errorf("there are %d flags", flags)
	}
}

// What a name on the command line could not be is not completed.
func TestCompleteNoHostileNames(t *testing.T) {
	i := newInstallation(t)
	i.state(schema.ProcessRecord{Host: "web1\x1b[2J", Group: "api", Process: "api_00", State: "RUNNING"})
	i.state(schema.ProcessRecord{Host: "web2", Group: "api", Process: "api_00", State: "RUNNING"})
	if got := completes(t, "ps", "--nats-url="+i.url, "--host", ""); !slices.Equal(got, []string{"web2"}) {
		t.Errorf("%q", got)
	}
}

// shell runs a line in a shell that has read the completion.
func shell(t *testing.T, name, line string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: on Debian it is in the package %s", err, name)
	}
	script, _, _ := supernats(t, "completion", name)
	file := filepath.Join(t.TempDir(), "completion")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	args := map[string][]string{"bash": {"--norc", "-c"}, "zsh": {"-f", "-c"}, "fish": {"--no-config", "-c"}}[name]
	cmd := exec.CommandContext(t.Context(), path, append(args, strings.ReplaceAll(line, "FILE", file))...)
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + filepath.Dir(binary) + ":" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || errs.Len() > 0 {
		t.Fatalf("%s: %v: %s%s", name, err, out, errs.String())
	}
	return string(out)
}

// Real shells complete commands, flags, names and files.
func TestCompletionInShells(t *testing.T) {
	i := newInstallation(t)
	i.forCompletion()
	dir := t.TempDir()
	for _, name := range []string{"one.yaml", "two words.yaml"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bash := func(words ...string) string {
		return `. FILE; COMP_WORDS=(supernats ` + strings.Join(words, " ") + `); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _supernats; printf '%s\n' "${COMPREPLY[@]}"`
	}
	zsh := func(words ...string) string {
		return `compdef() { }; _describe() { print -l "${(@P)4}"; }; compadd() { print -l "${(@P)2}"; }; _files() { print files; }
			. FILE; words=(supernats ` + strings.Join(words, " ") + `); CURRENT=$#words; _supernats`
	}
	fish := func(words ...string) string {
		return `source FILE; complete -C "supernats ` + strings.Join(words, " ") + `"`
	}
	for _, c := range []struct{ shell, line, want string }{
		{shell: "bash", line: bash("repl"), want: "replay\n"},
		{shell: "bash", line: bash("ps", "--al"), want: "--all\n"},
		{shell: "bash", line: bash("ps", "--output", "=", "js"), want: "json\njsonl\n"},
		{shell: "bash", line: bash("ps", "--output", "="), want: "table\njson\njsonl\nauto\n"},
		{shell: "bash", line: bash("ps", "--nats-url", i.url, "--host", "web"), want: "web1\nweb2\n"},
		{shell: "bash", line: bash("ps", "--nats-url", i.url, "--process", "a"), want: "a\\ name\napi_00\n"},
		{shell: "bash", line: bash("rules", "check", dir+"/o"), want: dir + "/one.yaml\n"},
		{
			shell: "bash",
			line:  bash("rules", "check", dir+"/t"),
			want:  dir + "/two words.yaml\n",
		}, // readline quotes it
		{shell: "zsh", line: zsh("repl"), want: "replay:Print events from the stream, oldest first.\n"},
		{shell: "zsh", line: zsh("ps", "--nats-url", i.url, "--host", "web"), want: "web1\nweb2\n"},
		{shell: "zsh", line: zsh("ps", "--nats-url", i.url, "--process", "''"), want: "a name\napi_00\n"},
		{shell: "zsh", line: zsh("rules", "check", "''"), want: "files\n"},
		{shell: "fish", line: fish("repl"), want: "replay\tPrint events from the stream, oldest first.\n"},
		{shell: "fish", line: fish("ps", "--nats-url", i.url, "--host", "web"), want: "web1\nweb2\n"},
		{shell: "fish", line: fish("rules", "check", dir+"/o"), want: dir + "/one.yaml\n"},
	} {
		if got := shell(t, c.shell, c.line); got != c.want {
			t.Errorf("%s: %q, want %q", c.shell, got, c.want)
		}
	}
}
