package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"supernats/schema"
	"supernats/schema/stream"
)

// hostileNames are names that a program, a host or a person may have, and that would steer a
// terminal or take another width than they seem to.
var hostileNames = []string{
	"a-very-long-process-name-that-goes-on-and-on-for-more-than-a-whole-line-of-a-terminal_00",
	"データベース管理者用プロセス番号零一", "🚀👩‍👩‍👧‍👦🇩🇪", "e\u0301toile\u0301", "ظظظ مرحبا",
	"evil\x1b[31mred\x1b[0m", "title\x1b]0;x\x07", "clear\x1b[2J\x1b[H", "c1\u009b31m", "bidi\u202eexe.GNP", "zero\u200bwidth\u2060\ufeff",
	"tab\there", "new\nline", "return\rcarriage", "del\x7f", "line\u2028separator", "tag\U000e0041",
}

// hostile stores records, events and notifications with such names everywhere.
func (i *installation) hostile() {
	i.Helper()
	now := time.Now()
	for n, name := range hostileNames {
		host := "host-" + name
		i.host(schema.HostRecord{
			Host: host, BridgeVersion: name, SupervisorVersion: name, SupervisorState: name, LastSeen: i.ago(3 * time.Second),
			Running: 3, Lost: 2, LastLoss: new(i.ago(time.Hour)), Troubles: []schema.HostTrouble{{Cause: name, Text: name, Fix: name, Since: i.ago(time.Hour)}},
		})
		exit := &schema.Exit{SpawnErr: "cannot find " + name}
		i.state(schema.ProcessRecord{Host: host, Group: name, Process: name + "_0", State: "FATAL", Since: i.ago(time.Hour), LastExit: new(i.ago(time.Minute)), Exit: exit})
		e := schema.Event{Host: host, Group: name, Process: name + "_0"}
		i.event(e, func(e *schema.Event) {
			e.Event, e.Expected, e.Exit, e.FromState = schema.ProcessStateExited, new(false), exit, "RUNNING"
		})
		i.event(e, func(e *schema.Event) {
			e.Event, e.Channel, e.Data = schema.ProcessLogStdout, "stdout", new("data of "+name+"\n")
		})
		i.event(schema.Event{Host: host}, func(e *schema.Event) { e.Event, e.Type, e.Data = schema.RemoteCommunication, name, new(name) })

		last := schema.AlertEvent{
			ID: fmt.Sprint("x/", n), Time: i.ago(time.Minute), Event: schema.ProcessStateExited, Expected: new(false), Exit: exit,
			Log: &schema.Log{Stderr: "tail of " + name + "\n" + name + "\n"},
		}
		id := fmt.Sprintf("%s/%s/%d", name, host, n)
		i.alert(schema.Alert{
			Incident: id, Rule: name, Kind: schema.KindEvent, Severity: name, Host: host, Group: name, Process: name + "_0",
			Phase: schema.PhaseFiring, Opened: i.ago(time.Hour), Count: 3, Last: &last, Muted: n % 2, MutedBy: name, Notifications: 1,
			Acknowledged: &schema.Acknowledgement{By: name, Reason: name, Since: i.ago(time.Minute)}, Annotations: map[string]string{"summary": name, "runbook": name},
		})
		notification := schema.Notification{
			Incident: id, Rule: name, Kind: schema.KindEvent, Host: host, Group: name, Process: name + "_0", Count: 1,
			Events: []schema.AlertEvent{last}, Notify: []string{name},
		}
		seq := i.notify(schema.TypeAlertFiring, i.ago(time.Minute), notification)
		i.mute(schema.Mute{ID: fmt.Sprint("m", n), Hosts: []string{name}, Comment: name, Author: name, Created: i.ago(0), Expires: schema.Time{Time: now.Add(time.Hour)}})
		if n%5 == 0 {
			durable := stream.ReceiverConsumer(name)
			i.durable(stream.Alerts, durable)
			i.put(stream.LeasesBucket, durable, stream.Position{Receiver: name, Failures: stream.Failures{Error: name, Tries: 3, Since: new(i.ago(time.Hour))}})
			i.park(durable, schema.AlertSubject(host, name, name, name), seq, strings.ToValidUTF8(headerText(name), ""), []byte(name))
		}
	}
	i.put(stream.LeasesBucket, stream.LeaseKey, stream.LeaseRecord{Instance: hostileNames[5], Since: i.ago(time.Hour)})
}

// headerText is a text without what cannot be in a header.
func headerText(s string) string { return strings.NewReplacer("\n", " ", "\r", " ").Replace(s) }

// colors is all that our programs write to a terminal beside text.
var colors = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// steering are characters that steer a terminal, or are nothing on it.
func steering(text string) (list []rune) {
	for _, r := range text {
		if r != '\n' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)) && !slices.Contains(list, r) {
			list = append(list, r)
		}
	}
	return list
}

// hostileCommands print what is stored, or what they were given.
func hostileCommands() [][]string {
	evil := hostileNames[7]
	return [][]string{
		{"ps"},
		{"ps", evil},
		{"ps", "--state", evil},
		{"hosts"},
		{"hosts", "forget", evil},
		{"alerts", "--since", "1d"},
		{"alerts", "--rule", evil + "["},
		{"alerts", "show", evil},
		{"alerts", "show", evil + "/host-" + evil},
		{"alerts", "show", hostileNames[12], "-o", "md"},
		{"ack", evil, "--reason", evil, "--for", evil},
		{"ack", "none" + evil, "--reason", evil},
		{"unack", evil + "/none"},
		{"mutes"},
		{"mute", "--host", evil, "--for", "1h", "--comment", evil, "--author", evil},
		{"unmute", evil},
		{"replay"},
		{"replay", "--event", evil},
		{"replay", "--publish", evil},
		{"replay", "--host", "a.+" + evil},
		{"tail", "--since", "2h", "--limit", "30"},
		{"doctor"},
		{"test-alert", "nobody" + evil},
		{"test-alert", "--timeout", "1s"},
		{"rules", "check", evil},
		{"rules", "backtest", evil},
		{"frobnicate" + evil},
		{"ps", "--nats-context", evil},
		{"ps", "-c", evil},
		{"completion", evil},
	}
}

// Nothing that other machines, or people, have named reaches a terminal as it is, in any
// command, at any width; and no line is broken by the terminal.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.hostile()
	for _, args := range hostileCommands() {
		t.Run(fmt.Sprintf("%.40q", args), func(t *testing.T) {
			t.Parallel()
			for _, width := range []int{40, 80, 200} {
				screen := i.onScreen(width, nil, args...)
				if bad := steering(screen); len(bad) > 0 {
					t.Errorf("%q on a screen of %d:\n%q", bad, width, screen)
				}
				if args[0] != "rules" && !slices.Contains(args, "md") { // for editors, for a file
					shows(t, withoutCommands(screen), width)
				}
			}
			if written := i.written(80, []string{"NO_COLOR=1"}, args...); colors.MatchString(written) {
				t.Errorf("NO_COLOR: %q", written)
			}
			if written := i.written(80, []string{"TERM=dumb"}, args...); strings.Contains(written, "\x1b") {
				t.Errorf("TERM=dumb: %q", written)
			}
			if out, errs, _ := supernats(t, append(args, "--nats-url", i.url)...); colors.MatchString(out + errs) {
				t.Errorf("colors into a pipe: %q", out+errs)
			}
		})
	}
}

// withoutCommands leaves out lines that are to be copied, which are not broken.
func withoutCommands(screen string) string {
	var b strings.Builder
	for line := range strings.Lines(screen) {
		if !strings.HasPrefix(line, "Try: ") {
			b.WriteString(line)
		}
	}
	return b.String()
}
