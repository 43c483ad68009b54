package main

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"

	"supernats/consumer/inspect"
	"supernats/schema"
	"supernats/schema/program"
)

func TestMuteRefuses(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{
			args: "--for 1h --comment x",
			want: "nothing says what to mute: give --host, --group, --process or --rule, or --all",
		},
		{args: "--all --host web1 --for 1h --comment x", want: "--all mutes every alert"},
		{args: "--host web1 --for 1h", want: "--comment is missing"},
		{args: "--host web1 --comment x", want: "give either --for (30m, 2h, 1d) or --until"},
		{args: "--host web1 --comment x --for 1h --until 2099-01-01T00:00:00Z", want: "give either --for"},
		{args: "--host web1 --comment x --until 2020-01-01T00:00:00Z", want: "is not in the future"},
		{args: "--host web1 --comment x --until tomorrow", want: "--until"},
		{args: "--host web1 --comment x --for -1h", want: "--for"},
		{args: "--host [ --comment x --for 1h", want: `invalid glob "["`},
		{args: "--rule [ --comment x --for 1h", want: `invalid glob "["`},
	} {
		out, errs, code := supernats(t, append([]string{"mute"}, strings.Fields(c.args)...)...)
		if code != program.ExitUsage || out != "" || !strings.Contains(errs, c.want) {
			t.Errorf("%s: %d %q %q", c.args, code, out, errs)
		}
	}
}

func TestMuteAndUnmute(t *testing.T) {
	i := newInstallation(t)
	i.trouble()
	i.run("unmute", "m1")
	var m inspect.Mute
	out := i.run("mute", "--host", "web*", "--group", "api,worker", "--rule", "{unexpected-exit,crash-loop}", "--for", "90m", "--comment", "moving\nracks")
	if err := json.Unmarshal([]byte(out), &m); err != nil {
		t.Fatal(err)
	}
	slices.Sort(m.Alerts)
	if d := cmp.Diff([]string{"loop", "new"}, m.Alerts); d != "" {
		t.Error(d)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	m.Mute.Author = strings.TrimSuffix(m.Mute.Author, "@"+host)
	want := schema.Mute{
		ID: m.ID, Hosts: []string{"web*"}, Groups: []string{"api", "worker"}, Rules: []string{"{unexpected-exit,crash-loop}"},
		Comment: "moving\nracks", Author: m.Author, Created: m.Created, Expires: schema.Time{Time: m.Created.Add(90 * time.Minute)},
	}
	if d := cmp.Diff(want, m.Mute); d != "" || m.Author == "" || strings.Contains(m.Author, "@") {
		t.Error(d, m.Author)
	}
	table := narrow(i.run("mutes", "-o", "table"))
	created := aSpan.ReplaceAllString(m.Created.UTC().Format("2006-01-02 15:04:05"), "SPAN")
	if d := cmp.Diff("ID  MATCHES  LEFT  ALERTS  AUTHOR  CREATED  COMMENT\n"+
		m.ID+"  --host web* --group api --group worker --rule {unexpected-exit,crash-loop}  SPAN  2  "+m.Author+"@"+host+"  "+created+"  moving\uFFFDracks\n", table); d != "" {
		t.Error(d)
	}
	if out := i.run("mute", "--all", "--until", time.Now().Add(time.Hour).Format(time.RFC3339), "--comment", "x", "--author", "me", "-o", "table"); !regexp.MustCompile(`(?s)^\w{10} mutes every alert until .*It mutes these open alerts:\nSTATUS .*crash-loop`).MatchString(out) {
		t.Errorf("%s", out)
	}
	var list []inspect.Mute
	if err := json.Unmarshal([]byte(i.run("mutes", "-o", "json")), &list); err != nil || len(list) != 2 || list[0].ID > list[1].ID || len(list[1].Alerts)+len(list[0].Alerts) != 2+3 {
		t.Fatalf("%v %+v", err, list)
	}
	if out := i.run("unmute", list[1].ID, list[0].ID); out != list[1].ID+" has ended\n"+list[0].ID+" has ended\n" {
		t.Errorf("%q", out)
	}
	if out := i.run("mutes"); out != "" {
		t.Errorf("%q", out)
	}
	for _, id := range []string{list[0].ID, "nobody", "a b"} {
		if _, errs, code := supernats(t, "unmute", id, "--nats-url", i.url); code != program.ExitFailed || !strings.Contains(errs, "no silence "+id+" is in force: `supernats mutes` lists those that are") {
			t.Errorf("%d %q", code, errs)
		}
	}
}

// NATS itself ends a silence.
func TestMuteExpires(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	begun := time.Now()
	id := strings.Fields(i.run("mute", "--rule", "x", "--for", "1100ms", "--comment", "x", "-o", "table"))[0]
	if !strings.Contains(i.run("mutes"), id) && time.Since(begun) < 2*time.Second {
		t.Error("it has ended before its time")
	}
	for strings.Contains(i.run("mutes"), id) {
		if time.Since(begun) > 20*time.Second {
			t.Fatal("it never ends")
		}
	}
	if lasted := time.Since(begun); lasted < 2*time.Second {
		t.Errorf("it lasted %v", lasted)
	}
}

// What the server denies is reported at once, with the right that is missing.
func TestDenied(t *testing.T) {
	all := &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{">"}}, Subscribe: &server.SubjectPermission{Allow: []string{">"}}}
	few := &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{"$JS.API.STREAM.INFO.*"}},
		Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
	}
	none := &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{">"}}, Subscribe: &server.SubjectPermission{Deny: []string{">"}}}
	blind := &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{">"}, Deny: []string{"$JS.API.CONSUMER.LIST.>"}}, Subscribe: all.Subscribe}
	i := newInstallationFor(t, map[string]*server.Permissions{"all": all, "few": few, "none": none, "blind": blind})
	i.fill()
	for _, c := range []struct{ user, args, want string }{
		{
			user: "few",
			args: "mute --all --for 1h --comment x",
			want: `may not publish $KV.supervisor_mutes.ID: add "$KV.supervisor_mutes.>" to its publish permissions (examples/02-secure has the rights of each user)`,
		},
		{
			user: "few",
			args: "alerts",
			want: `add "$JS.API.CONSUMER.CREATE.KV_supervisor_alerts.>" to its publish permissions`,
		},
		{
			user: "few",
			args: "ps",
			want: `add "$JS.API.CONSUMER.CREATE.KV_supervisor_state.>" to its publish permissions`,
		},
		{user: "few", args: "tail", want: `add "$JS.API.CONSUMER.CREATE.SUPERVISOR.>" to its publish permissions`},
		{user: "none", args: "hosts", want: `may not `},
	} {
		begun := time.Now()
		out, errs, code := supernats(t, append(strings.Fields(c.args), "--nats-url", i.as(c.user))...)
		errs = regexp.MustCompile(`mutes\.\w{10}:`).ReplaceAllString(errs, "mutes.ID:")
		if code != program.ExitFailed || out != "" || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: %d %q %q", c.args, code, out, errs)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%s took %v", c.args, took)
		}
	}
	// Who may not see the queues of the receivers sees the alerts.
	i.trouble()
	out, errs, code := supernats(t, "alerts", "-o", "table", "--nats-url", i.as("blind"))
	if code != program.ExitDone || !strings.Contains(out, "unexpected-exit") || strings.Contains(out, "nobody yet") || !strings.Contains(errs, `who was notified is not known: this NATS user may not publish $JS.API.CONSUMER.LIST.SUPERVISOR_ALERTS`) {
		t.Errorf("%d %s%s", code, out, errs)
	}
}
