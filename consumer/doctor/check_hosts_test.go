package doctor

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/fleettest"
	"supernats/consumer/inspect"
	"supernats/schema"
	"supernats/schema/checkup"
)

// dates are some days on which the tests may run.
var dates = []time.Time{
	time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), time.Now(), time.Date(2027, 3, 28, 1, 30, 0, 0, time.UTC),
	time.Date(2028, 2, 29, 23, 59, 59, 0, time.FixedZone("", 14*3600)), time.Date(2040, 1, 1, 0, 0, 0, 0, time.FixedZone("", -12*3600)),
}

// aSpan matches a span of time in a message.
var aSpan = regexp.MustCompile(`\b(\d+[dhms])+\b`)

// version is the one that bridges should have.
const version = "v1.2.3"

// hostFindings are what the doctor says of hosts at a time, a line each.
func hostFindings(now time.Time, hosts ...schema.HostRecord) (lines []string) {
	var r checkup.Report
	(&hostReport{report: &r, fleet: inspect.NewFleet(hosts, now), version: version}).addFleet()
	for _, f := range r.Findings {
		line := string(f.Status) + " " + f.Message
		if f.Fix != "" {
			line += " [" + f.Fix + "]"
		}
		lines = append(lines, aSpan.ReplaceAllString(line, "SPAN"))
	}
	return lines
}

// What is wrong with hosts depends on no date.
func TestHosts(t *testing.T) {
	for _, now := range dates {
		ago := func(d time.Duration) schema.Time { return schema.Time{Time: now.Add(-d)} }
		want := []string{
			"fail host box: disk-full for SPAN: 3 MiB are left [make room]",
			"fail host box (section logs): disk-full for SPAN: 3 MiB are left [make room]",
			"warn host box: clock for SPAN: it is SPAN ahead [set it]",
			"warn host box: 2 troubles more were reported than are kept [there: supervisorctl tail supernats stderr]",
			"warn host web2 lost 12 events, the last time SPAN ago [its supervisord needs buffer_size=65536 in the section of the bridge: supernats-bridge conf; `supernats tail --host web2` shows what fills it]",
			"warn host web3: the stream took 3 of its events for duplicates that they were not, the last time SPAN ago: somebody else uses its message ids [find out which NATS user publishes message ids of this host that are not its own, and revoke its rights; the events of the host are stored all the same]",
			"warn 2 hosts are silent: box (its supervisord user, SPAN), web2 (SPAN) [there: supervisorctl status, and supervisorctl tail supernats stderr; if a host is gone for good: supernats hosts forget HOST]",
		}
		got := hostFindings(now, fleettest.HostWithSeveralSupervisords(now),
			schema.HostRecord{Host: "web3", BridgeVersion: version, LastSeen: ago(0), Resent: 3, LastResent: new(ago(time.Hour)), Lost: 3, LastLoss: new(ago(8 * 24 * time.Hour))},
			schema.HostRecord{Host: "web2", BridgeVersion: version, LastSeen: ago(10 * time.Minute), Lost: 12, LastLoss: new(ago(6 * 24 * time.Hour))})
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%v: %s", now, d)
		}
	}
}

// A host with any trouble is not said to be well.
func TestAnyTroubleIsReported(t *testing.T) {
	now := time.Now()
	h := schema.HostRecord{Host: "web1", BridgeVersion: version, LastSeen: schema.Time{Time: now}}
	if got := hostFindings(now, h); len(got) != 1 || !strings.HasPrefix(got[0], "ok ") {
		t.Errorf("%q", got)
	}
	for _, cause := range []string{"disk-full", "reasons", "clock", "never-heard-of"} {
		h.Troubles = []schema.HostTrouble{{Cause: cause, Text: "text", Fix: "fix", Since: schema.Time{Time: now}}}
		if got := hostFindings(now, h); len(got) != 1 || strings.HasPrefix(got[0], "ok ") {
			t.Errorf("%q", got)
		}
	}

	h.Troubles = []schema.HostTrouble{{Cause: "disk-full", Text: "text", Fix: "fix"}}
	if got := hostFindings(now, h); len(got) != 1 || got[0] != "fail host web1: disk-full: text [fix]" {
		t.Errorf("nobody knows since when: %q", got)
	}
}

// What bridges say of their sections.
func TestSections(t *testing.T) {
	now := time.Now()
	seen := schema.Time{Time: now}
	good := schema.Section{Events: []string{"EVENT"}, BufferSize: 65536, Priority: -77}
	reasons := &schema.Reasons{Source: schema.ReasonsFile}
	one := func(change func(*schema.HostBridge)) []schema.HostBridge {
		s := good
		b := schema.HostBridge{Pool: "supernats", Boot: "a", Section: &s, Reasons: reasons, Spool: schema.SpoolDisk, LastSeen: seen}
		change(&b)
		return []schema.HostBridge{b}
	}
	events := func(names ...string) func(*schema.HostBridge) {
		return func(b *schema.HostBridge) { b.Section.Events = names }
	}
	two := append(one(events("PROCESS_STATE", "TICK_60")), one(func(b *schema.HostBridge) {
		b.Pool, b.Section.Events = "logs", []string{"PROCESS_LOG"}
	})...)
	for name, c := range map[string]struct {
		bridges []schema.HostBridge
		change  func(*schema.HostRecord)
		want    []string
	}{
		"good":          {bridges: one(func(*schema.HostBridge) {})},
		"two good ones": {bridges: two},
		"of an older bridge": {
			bridges: one(func(b *schema.HostBridge) { b.Section, b.Reasons, b.Spool = nil, nil, "" }),
		},
		"in small letters": {bridges: one(events("process_state", "tick_60"))},
		"no ticks, and reported": {
			bridges: one(events("PROCESS_STATE")),
			change: func(h *schema.HostRecord) {
				h.Troubles = []schema.HostTrouble{{Cause: "section", Boot: "a", Pool: "supernats", Text: "no ticks", Fix: "add TICK_60", Since: seen}}
			},
			want: []string{"warn host web1: section for SPAN: no ticks [add TICK_60]"},
		},
		"abstract TICK": {bridges: one(events("PROCESS_STATE", "TICK"))},
		"no ticks": {
			bridges: one(events("PROCESS_STATE")),
			want:    []string{"warn host web1: events= of supernats has neither TICK_5 nor TICK_60"},
		},
		"only the long ticks": {
			bridges: one(events("PROCESS_STATE", "TICK_3600")),
			want:    []string{"warn host web1: events= of supernats has neither"},
		},
		"no states": {
			bridges: one(events("TICK_5", "PROCESS_LOG")),
			want:    []string{"fail host web1: events= of supernats has no PROCESS_STATE"},
		},
		"exits only": {
			bridges: one(events("TICK_5", "PROCESS_STATE_EXITED")),
			want:    []string{"fail host web1: events= of supernats has no PROCESS_STATE"},
		},
		"supervisor's own buffer": {
			bridges: one(func(b *schema.HostBridge) { b.Section.BufferSize = 10 }),
			want:    []string{"warn host web1: section supernats has buffer_size=10"},
		},
		"the same priority": {
			bridges: one(func(b *schema.HostBridge) { b.Section.SamePriority = []string{"mail"} }),
			want:    []string{"warn host web1: section supernats has the priority -77 of mail"},
		},
		"no reasons": {
			bridges: one(func(b *schema.HostBridge) {
				b.Reasons = &schema.Reasons{Source: "none", Problem: "no log", Fix: "set it"}
			}),
			want: []string{"warn host web1: section supernats: reasons of deaths are not available: no log [set it]"},
		},
		"not always": {
			bridges: one(func(b *schema.HostBridge) { b.Reasons = &schema.Reasons{Source: "rpc", Problem: "slow"} }),
			want:    []string{"warn host web1: section supernats: reasons of deaths are not always available: slow"},
		},
		"in memory": {
			bridges: one(func(b *schema.HostBridge) { b.Spool = schema.SpoolMemory }),
			want:    []string{"warn host web1: section supernats has its spool in memory"},
		},
		"stopped": {
			bridges: one(func(b *schema.HostBridge) { b.Stopped = &seen }),
			want:    []string{"warn host web1: section supernats was stopped"},
		},
		"stopped with supervisord": {
			bridges: one(func(b *schema.HostBridge) { b.Stopped = &seen }),
			change:  func(h *schema.HostRecord) { h.Lives[0].Stopping = &seen },
		},
		"of a life that is over": {
			bridges: one(func(b *schema.HostBridge) { b.Section.BufferSize = 10 }),
			change:  func(h *schema.HostRecord) { h.Lives[0].Ended = &seen },
		},
		"no reasons, reported": {
			bridges: one(func(b *schema.HostBridge) { b.Reasons = &schema.Reasons{Source: "none"} }),
			change: func(h *schema.HostRecord) {
				h.Troubles = []schema.HostTrouble{{Cause: "reasons", Boot: "a", Pool: "supernats", Text: "no log", Fix: "set it", Since: seen}}
			},
			want: []string{"warn host web1: reasons for"},
		},
		"what programs write": {
			bridges: one(func(b *schema.HostBridge) {
				b.Lost, b.LastLoss, b.LossCause = 3, &seen, schema.LossBuffer
			}),
			change: func(h *schema.HostRecord) { h.Lost, h.LastLoss = 3, &seen },
			want: []string{
				"warn host web1 lost 3 events, the last time SPAN ago [its supervisord needs buffer_size=65536",
				"warn host web1: section supernats has lost events, and gets PROCESS_LOG beside PROCESS_STATE",
			},
		},
		"nobody listened": {
			bridges: one(func(b *schema.HostBridge) {
				b.Lost, b.LastLoss, b.LossCause = 3, &seen, schema.LossNotListening
			}),
			change: func(h *schema.HostRecord) { h.Lost, h.LastLoss = 3, &seen },
			want: []string{
				"warn host web1 lost 3 events, the last time SPAN ago [supervisord did not run the bridge for a while",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := schema.HostRecord{Host: "web1", BridgeVersion: version, LastSeen: seen, Lives: []schema.HostLife{{Boot: "a", LastSeen: seen}}, Bridges: c.bridges}
			if c.change != nil {
				c.change(&h)
			}
			got := hostFindings(now, h)
			if len(c.want) == 0 && (len(got) != 1 || !strings.HasPrefix(got[0], "ok ")) {
				t.Errorf("%q", got)
			}
			for i, want := range c.want {
				if len(got) != len(c.want) || !strings.HasPrefix(got[i], want) {
					t.Errorf("%q\nwant %q", got, c.want)
				}
			}
		})
	}
}

// One clock that is wrong looks like many.
func TestServerClock(t *testing.T) {
	now := time.Now()
	host := func(name string, offset time.Duration) schema.HostRecord {
		return schema.HostRecord{Host: name, BridgeVersion: version, LastSeen: schema.Time{Time: now}, Lives: []schema.HostLife{
			{Boot: name, LastSeen: schema.Time{Time: now}, Clock: &schema.HostClock{Offset: offset.Milliseconds(), Settled: true}},
		}}
	}
	const words = "the clocks of all"
	for name, c := range map[string]struct {
		hosts []schema.HostRecord
		want  bool
	}{
		"all the same": {
			hosts: []schema.HostRecord{host("a", time.Hour), host("b", time.Hour+time.Second)},
			want:  true,
		},
		"one is right":  {hosts: []schema.HostRecord{host("a", time.Hour), host("b", 0)}},
		"all are right": {hosts: []schema.HostRecord{host("a", 0), host("b", time.Second)}},
		"only one":      {hosts: []schema.HostRecord{host("a", time.Hour)}},
		"not the same":  {hosts: []schema.HostRecord{host("a", time.Hour), host("b", -time.Hour)}},
	} {
		if got := strings.Join(hostFindings(now, c.hosts...), "\n"); strings.Contains(got, words) != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
