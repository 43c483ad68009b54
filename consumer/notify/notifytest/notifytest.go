// Package notifytest checks receivers: RunReceiver is what every implementation of
// notify.Receiver has to pass, those of others too.
//
//	func TestReceiver(t *testing.T) {
//		notifytest.RunReceiver(t, func(t *testing.T, b notifytest.Behaviour, timeout time.Duration) notifytest.Peer {
//			s := notifytest.Serve(t, b)
//			r, err := New("hook", Config{URL: s.URL, Timeout: schema.Duration(timeout)})
//			…
//			return notifytest.Peer{Receiver: r, Got: s.Bodies}
//		})
//	}
package notifytest

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"supernats/consumer/notify"
	"supernats/schema"
)

// Behaviour is what the other side of a receiver does.
type Behaviour int

// The other side takes what it gets, refuses it for good or for now, says nothing
// at all, answers a byte now and then without end, or answers without end as fast
// as it can.
const (
	Accept Behaviour = iota
	RefuseForGood
	RefuseForNow
	Silent
	Drip
	Flood
)

var behaviours = [...]string{"accept", "refuse for good", "refuse for now", "silent", "drip", "flood"}

// String implements fmt.Stringer.
func (b Behaviour) String() string { return behaviours[b] }

// Peer is a receiver and the other side of it.
type Peer struct {
	Receiver notify.Receiver
	// Got returns what has arrived at the other side, in order.
	Got func() [][]byte
	// IDs returns by what the other side recognizes what it got; nil means all of it.
	IDs func(got []byte) []string
	// Secrets are texts that no error may show.
	Secrets []string
}

// Make makes a receiver with a time limit and its other side, which live as long as the
// test.
type Make func(t *testing.T, b Behaviour, timeout time.Duration) Peer

// happened is when everything in the fixtures did.
var happened = time.Date(2026, 11, 21, 19, 0, 31, 833_512_000, time.UTC)

// Notification is the nth one of an incident, of a type schema.TypeAlert…; n is from 1. It
// has one event.
func Notification(typ, alert string, n int, change ...func(*schema.Notification)) *notify.Notification {
	at := happened.Add(time.Duration(n-1) * time.Minute)
	code := n

	a := &schema.Notification{
		Incident: alert, Rule: "unexpected-exit", Severity: "critical",
		Host: "web1", Group: "api", Process: "api_00", Opened: schema.Time{Time: happened}, Count: n,
		Events: []schema.AlertEvent{{
			ID: fmt.Sprintf("web1/4f0c6d1e2a90b7c3/%d", n), Time: schema.Time{Time: at}, Seq: uint64(n),
			Event: schema.ProcessStateExited, FromState: schema.StateRunning, PID: 11167,
			Exit: &schema.Exit{Code: &code},
		}},
		Labels: map[string]string{notify.LabelAddress: "192.0.2.11", "team": "api"},
	}
	if typ == schema.TypeAlertResolved {
		a.Closed = &schema.Time{Time: at}
	}

	for _, f := range change {
		f(a)
	}
	return a.Envelope(fmt.Sprintf("%s/%d", alert, n), typ, at)
}

// Firing is the first notification of an incident.
func Firing(alert string, change ...func(*schema.Notification)) *notify.Notification {
	return Notification(schema.TypeAlertFiring, alert, 1, change...)
}

// OutOfMemory is the first notification of a process that the kernel killed because
// memory ran out, with all that a bridge may know of its last life.
func OutOfMemory(alert string, change ...func(*schema.AlertEvent)) *notify.Notification {
	return Firing(alert, func(a *schema.Notification) {
		ev := &a.Events[0]
		ev.Exit = &schema.Exit{
			Signal: "SIGKILL", Source: schema.ExitFromKernel,
			OOM: &schema.OOM{Cgroup: "/system.slice/a\x1b.service", Limit: 2 << 30, Peak: 2 << 30},
		}
		ev.Ran = new(187_442.031)
		ev.Last = &schema.Look{
			Time: schema.Time{Time: ev.Time.Add(-3 * time.Second)}, RSS: 1966 << 20, PeakRSS: 1997 << 20,
			CPU: 0.5, Threads: 1, Descriptors: 31, Age: 187_439.83,
		}
		for _, f := range change {
			f(ev)
		}
	})
}

// Many is a batch of n incidents; every third has an update, every fourth its end too.
func Many(n int) []*notify.Notification {
	var batch []*notify.Notification
	for i := range n {
		id := fmt.Sprintf("unexpected-exit/web%d/4f0c6d1e2a90b7c3/%d", i%7, i)
		change := func(a *schema.Notification) {
			a.Host, a.Process = fmt.Sprintf("web%d", i%7), fmt.Sprintf("api_%02d", i)
		}
		batch = append(batch, Notification(schema.TypeAlertFiring, id, 1, change))
		if i%3 == 0 {
			batch = append(batch, Notification(schema.TypeAlertUpdate, id, 2, change))
		}
		if i%4 == 0 {
			batch = append(batch, Notification(schema.TypeAlertResolved, id, 3, change))
		}
	}
	return batch
}

// Hostile are names that somebody may give to a process, a rule or a host, and
// texts that may stand in an error: markup, ends of lines, control characters,
// bytes that are no text, and very long.
var Hostile = []string{
	"", " ", "-", "\x00", "\r\nBcc: all@example.com\r\n\r\n", "\x1b[31mred\x1b[0m", "\u202egnp.exe", "\xff\xfe\x80",
	"<script>alert(1)</script>", "<!channel>", "<@U0123|x>", "@everyone", "@here @channel", "*b* _i_ ~s~ `c` ```b```",
	"[a](https://example.com)", "https://example.com/?a=b&c=d", "</code><b>", "&lt;",
	`"quoted" \back\slash`, "{{ .Host }} {{DATE(2026-11-21T19:00:00Z)}}",
	"${PATH} $(id) `id`; rm -rf", "%s%n%d", "进程退出", "👩‍💻", "a,b=c\"d",
	strings.Repeat("long", 5000), strings.Repeat("😀", 5000),
	strings.Repeat("`*_", 2000), strings.Repeat("&", 10000),
}

// HostileBatch has all of Hostile, each in a notification of its own as every
// text that there is.
func HostileBatch() []*notify.Notification {
	var batch []*notify.Notification
	for i, s := range Hostile {
		batch = append(batch, hostile(i, s))
	}
	return batch
}

// hostile is a notification in which s stands wherever a text may.
func hostile(i int, s string) *notify.Notification {
	return Firing(fmt.Sprintf("%s/%d", s, i), func(a *schema.Notification) {
		a.Rule, a.Severity, a.Host, a.Group, a.Process = s, s, s, s, s
		a.Labels = map[string]string{s: s, notify.LabelAddress: s, "team": s}
		a.Annotations = map[string]string{s: s, "runbook": s}
		if i%2 == 0 {
			a.Annotations["summary"], a.Annotations["description"] = s, s
		}
		a.Notify = []string{s}

		ev := &a.Events[0]
		ev.ID, ev.Host, ev.Group, ev.Process, ev.Server, ev.FromState = s, s, s, s, s, s
		ev.Exit = &schema.Exit{SpawnErr: s}
		if i%2 == 1 {
			ev.Exit = &schema.Exit{Signal: s, Source: s, OOM: &schema.OOM{Cgroup: s, Limit: 1, Peak: math.MaxUint64}}
			ev.Ran = new(math.MaxFloat64)
			ev.Last = &schema.Look{RSS: math.MaxUint64, CPU: -1, Threads: math.MinInt, Age: math.MaxFloat64}
		}
		ev.Log = &schema.Log{Stdout: s, Stderr: s}
		if i%3 == 0 {
			ev.Event = s
		}
	})
}
