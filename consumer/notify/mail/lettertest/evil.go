package lettertest

import (
	"math"
	"slices"
	"strings"

	"supernats/schema"
)

// Evil are names and texts that want to be taken for something else.
func Evil() []string {
	return []string{
		"x\r\nBcc: victim@example.org\r\n\r\n<b>hi</b>",
		"x\nBcc: victim@example.org", "x\rBcc: victim@example.org", "x\r\n.\r\nMAIL FROM:<a@b>",
		"x\u2028Bcc: y\u0085z\x0bw\x0c", "\x00\x1b[2J\x07\x7f\xff\xfe",
		"<script>alert(1)</script>", `"><img src=http://evil.example/x.png>`, "</pre><a href='javascript:x'>",
		"=?utf-8?q?=0D=0ABcc:_victim@example.org?=", "Subject: root", "\u202eevil\u2066",
		strings.Repeat(" ", 500) + "end", strings.Repeat("进", 5000), strings.Repeat("\r\n", 5000),
		strings.Repeat("x", 100_000),
		"{{.Secret}}", "a.*>b", "进程 退出", "--help", "$(reboot)`reboot`'\"",
	}
}

// Hostile are batches in which everything that a process can choose is evil: of one
// notification each, and of several.
func Hostile(evil string) [][]*Notification {
	hostiles := func(a *schema.Notification) {
		a.Incident, a.Process = evil+"2", ""
		a.Events = slices.Repeat(a.Events, 3)
		a.Events[1].Host, a.Events[2].Process, a.Events[2].Event = evil, evil, evil
		a.Annotations = map[string]string{"summary": evil, "description": evil}
	}

	update, words := hostileOne(evil, schema.TypeAlertUpdate), hostileOne(evil, "evil", hostiles)
	return [][]*Notification{
		{hostileOne(evil, schema.TypeAlertFiring)},
		{update},
		{words},
		{
			update, words,
			hostileOne(evil, schema.TypeAlertUpdate, hostiles), hostileOne(evil, schema.TypeAlertResolved),
		},
	}
}

// hostileOne is one notification of a type.
func hostileOne(evil, typ string, change ...func(*schema.Notification)) *Notification {
	n := Firing(func(a *schema.Notification) {
		a.Host, a.Group, a.Process, a.Rule, a.Severity, a.Incident = evil, evil, evil, evil, evil, evil
		a.Labels = map[string]string{"address": evil, evil: evil}
		a.Annotations = map[string]string{evil: evil}

		ev := &a.Events[0]
		ev.ID, ev.Server, ev.FromState = evil, evil, evil
		ev.Exit = &schema.Exit{SpawnErr: evil}
		if typ == schema.TypeAlertUpdate {
			oom := &schema.OOM{Cgroup: evil, Limit: 1, Peak: math.MaxUint64}
			ev.Exit = &schema.Exit{Signal: evil, OOM: oom}
			ev.Ran = new(-1.0)
			ev.Last = &schema.Look{
				RSS: math.MaxUint64, CPU: math.MaxFloat64, Threads: -1, Descriptors: math.MinInt,
			}
		}
		ev.Log = &schema.Log{Stdout: evil, Stderr: evil}
		for _, f := range change {
			f(a)
		}
	})
	n.ID, n.Type = evil, typ
	return n
}
