package chaos

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"supernats/consumer/inspect"
	"supernats/consumer/notify/mail/smtptest"
	"supernats/schema"
)

var (
	backtestCrashes = flag.Int("backtest.crashes", 300, "crashes of the recorded run, at least")
	backtestKills   = flag.Int("backtest.kills", 1, "how often the daemon is killed while it records, evenly over the time")
)

// shortTimes are rules of every kind, with times that a test can wait for.
const shortTimes = `
receivers: [{name: boss, exec: {command: ["true"]}}]
group_interval: 2s
repeat_interval: 5s
resolve_after: 1s
rules:
  - {name: unexpected-exit, event: PROCESS_STATE_EXITED, expected: false, severity: critical, inhibited_by: [host-silent],
     notify: [mail], escalate: [{after: 900ms, notify: [boss]}]}
  - {name: crash-loop, event: [PROCESS_STATE_EXITED, PROCESS_STATE_BACKOFF], expected: false, count: 8, within: 3s, group_by: [host, group], group_wait: 300ms}
  - {name: killed, event: PROCESS_STATE, if: 'exit.code == 3', groups: [app1], group_interval: 1s, send_resolved: false}
  - {name: down, state: [EXITED, BACKOFF, FATAL], for: 2s, inhibited_by: [host-silent]}
  - {name: quorum, quorum: 3, for: 500ms, groups: [app0], notify: [mail], escalate: [{after: 1s, notify: [boss]}]}
  - {name: host-silent, silent: 3s, severity: critical}
  - {name: loss, loss: true}
`

// recording is a run in which everything happens that the rules look at.
type recording struct {
	*fleet
	losses, answered int
}

// run lets it all happen for a time, and until there were enough crashes.
func (r *recording) run(ctx context.Context, over time.Duration, crashes int) error {
	ctx, cancel := context.WithTimeout(ctx, 5*over)
	defer cancel()
	var g errgroup.Group
	begun := time.Now()
	g.Go(func() error {
		defer cancel()
		for pause(ctx, 100*time.Millisecond) && (time.Since(begun) < over || len(r.known()) < crashes) {
		}
		return nil
	})
	quiet := r.hosts[len(r.hosts)-1]
	g.Go(func() error { return r.crashes(ctx, over/time.Duration(crashes)) })
	g.Go(func() error { return r.loops(ctx) })
	g.Go(func() error { return r.silences(ctx, quiet) })
	g.Go(func() error { return r.lose(ctx) })
	g.Go(func() error { return r.answers(ctx) })
	return g.Wait()
}

// crashes lets processes crash here and there; some stay down for seconds, and some
// are stopped by an operator.
func (r *recording) crashes(ctx context.Context, every time.Duration) error {
	dice := chance(1)
	all := r.processes()
	var g errgroup.Group
	for pause(ctx, every) {
		p, down := all[dice.IntN(len(all))], between(dice, time.Millisecond, 400*time.Millisecond)
		switch dice.IntN(20) {
		case 0:
			g.Go(func() error { return r.stop(ctx, p, down) })
			continue
		case 1:
			down = between(dice, 2*time.Second, 5*time.Second)
		}
		g.Go(func() error { return r.crash(ctx, p, down) })
	}
	return g.Wait()
}

// loops lets all processes of a group crash over and over now and then.
func (r *recording) loops(ctx context.Context) error {
	dice := chance(2)
	for pause(ctx, between(dice, time.Second, 3*time.Second)) {
		h := r.hosts[dice.IntN(len(r.hosts)-1)]
		for i := range 4 {
			down := 150 * time.Millisecond
			if i == 3 {
				down = 1500 * time.Millisecond
			}
			var g errgroup.Group
			for _, p := range h.processes {
				if p.group == "app0" {
					g.Go(func() error { return r.crash(ctx, p, down) })
				}
			}
			if err := g.Wait(); err != nil {
				return err
			}
		}
		if !pause(ctx, 4*time.Second) {
			break
		}
	}
	return nil
}

// silences cuts a host off now and then. At the end it talks.
func (r *recording) silences(ctx context.Context, h *fleetHost) error {
	for pause(ctx, 3*time.Second) {
		h.silence()
		pause(ctx, 6*time.Second)
		if err := r.talk(context.WithoutCancel(ctx), h); err != nil {
			return err
		}
	}
	return nil
}

// lose tells now and then that events were lost.
func (r *recording) lose(ctx context.Context) error {
	for pause(ctx, 7*time.Second) {
		h := r.hosts[0]
		l := &schema.Loss{Host: h.name, Boot: h.boot, Pool: "supernats", Cause: "supervisord-buffer", Count: 17}
		ce := l.Envelope(time.Now())
		data, err := schema.Marshal(ce)
		if err != nil {
			return err
		}
		if _, err := r.js.PublishMsg(context.WithoutCancel(ctx), message(schema.BridgeSubject(h.name, schema.BridgeLoss), ce.ID, data)); err != nil {
			return err
		}
		r.losses++
	}
	return nil
}

// answers has people acknowledge alerts that are open, for a time or without one, take them
// over from others, and withdraw that.
func (r *recording) answers(ctx context.Context) error {
	dice := chance(3)
	alerts := &inspect.Reader{JS: r.js}
	for pause(ctx, between(dice, 50*time.Millisecond, 300*time.Millisecond)) {
		records, err := alerts.AlertRecords(context.WithoutCancel(ctx))
		if err != nil {
			return err
		}
		over := dice.IntN(8) == 0 // somebody comes too late
		records = slices.DeleteFunc(records, func(a schema.Alert) bool {
			return a.Phase == schema.PhasePending || (a.Phase == schema.PhaseResolved) != over
		})
		if len(records) == 0 {
			continue
		}

		a := records[dice.IntN(len(records))]
		said := &schema.Ack{
			Incident: a.Incident, Rule: a.Rule, Host: a.Host, Group: a.Group, Process: a.Process,
			By: []string{"ann", "bob"}[dice.IntN(2)], Reason: "looking",
			For: schema.Duration(dice.IntN(2)) * schema.Duration(between(dice, 0, 3*time.Second)),
		}
		typ := schema.TypeAck
		if a.IsAcknowledged() && dice.IntN(3) > 0 {
			typ = schema.TypeUnack
		}
		id := fmt.Sprintf("ack/%d", r.answered)
		data, err := schema.Marshal(said.Envelope(id, typ, time.Now()))
		if err != nil {
			return err
		}
		if _, err := r.js.PublishMsg(context.WithoutCancel(ctx), message(said.Subject(), id, data)); err != nil {
			return err
		}
		r.answered++
	}
	return nil
}

// brief is what a back-test must say of a notification.
type brief struct {
	ID, Type, Alert   string
	Time              time.Time
	Count, Escalation int
	Events, Notify    []string
	By, Cause         string
	Quiet             bool
}

func briefOf(n *schema.CloudEvent[*schema.Notification]) brief {
	b := brief{
		ID: n.ID, Type: n.Type, Alert: n.Data.Incident, Time: n.Time.Time, Count: n.Data.Count,
		Escalation: n.Data.Escalation, Notify: n.Data.Notify, By: n.Data.By, Cause: n.Data.Cause, Quiet: n.Data.Quiet,
	}
	for _, e := range n.Data.Events {
		b.Events = append(b.Events, e.ID)
	}
	return b
}

// answerOf is what a notification says of acknowledging and escalating.
func answerOf(n *schema.Notification, typ string) string {
	switch {
	case typ == schema.TypeAlertAcknowledged:
		return "acknowledged"
	case n.Cause != "":
		return n.Cause
	case n.Escalation > 0:
		return "escalation"
	case n.Quiet:
		return "quiet"
	}
	return "other"
}

// killDaemon kills the daemon and starts it again, n times.
func killDaemon(t *testing.T, d *daemon, config string, n int, over time.Duration) {
	t.Helper()
	for range n {
		time.Sleep(over / time.Duration(n+1))
		d.kill()
		d = startDaemon(t, config, nil)
	}
}

// What the daemon reported live, though it was killed, is what a back-test over the
// same stream says.
func TestBacktest(t *testing.T) {
	besideOthers(t)
	t.Logf("seed %d", *seed)
	url := startNATS(t)
	js := connect(t, url)
	smtp := smtptest.Serve(t, smtptest.Options{})
	config := writeConfig(t, url, smtp, noLimit, shortTimes)
	d := startDaemon(t, config, nil)
	d.waitFor(t, saidReading)
	begun := time.Now()
	r := &recording{fleet: newFleet(t, js, 5, 2, 4)}
	// TICKs continue to the end: a host that is silent by then would be reported while we
	// compare.
	ctx, cancel := context.WithCancel(t.Context())
	var ticks errgroup.Group
	ticks.Go(func() error { return r.tick(ctx, 500*time.Millisecond) })
	defer func() {
		cancel()
		if err := ticks.Wait(); err != nil {
			t.Error(err)
		}
	}()
	over := max(20*time.Second, time.Duration(*backtestCrashes)*20*time.Millisecond)
	var recording errgroup.Group
	recording.Go(func() error { return r.run(t.Context(), over, *backtestCrashes) })
	killDaemon(t, d, config, *backtestKills, over)
	if err := recording.Wait(); err != nil {
		t.Fatal(err)
	}
	recorded := time.Since(begun)
	if n := len(r.known()); n < *backtestCrashes {
		t.Errorf("only %d processes crashed", n)
	}
	var live []brief
	if !settle(time.Minute, func() bool {
		return len(unnotified(r.known(), notifications(t, js))) == 0 && len(openAlerts(t, js)) == 0
	}) {
		t.Errorf("seed %d: a minute after all is well no notification has the crashes %q, and alerts are open: %q", *seed, unnotified(r.known(), notifications(t, js)), openAlerts(t, js))
	}
	rules := map[string]int{}
	said := map[string]int{}
	for _, n := range notifications(t, js) {
		live = append(live, briefOf(n.CloudEvent))
		rules[n.Data.Rule]++
		said[answerOf(n.Data, n.Type)]++
	}
	for _, answer := range []string{"acknowledged", "withdrawn", "expired", "escalation", "quiet"} {
		if said[answer] == 0 {
			t.Errorf("nothing live was %s, so nothing was compared", answer)
		}
	}
	for _, rule := range []string{"unexpected-exit", "crash-loop", "killed", "down", "quorum", "host-silent", "loss"} {
		if rules[rule] == 0 {
			t.Errorf("rule %s reported nothing live, so nothing was compared", rule)
		}
	}
	begin := time.Now()
	cmd := exec.Command(bin+"/supernats", "rules", "backtest", config, "-c", config, "--since", time.Since(begun.Add(-time.Minute)).Round(time.Second).String(), "-o", "jsonl")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("rules backtest: %v\n%s%s", err, out, stderr.Bytes())
	}
	took := time.Since(begin)
	var again []brief
	for line := range bytes.Lines(out) {
		n, err := schema.Unmarshal[*schema.Notification](line)
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		again = append(again, briefOf(n))
	}
	if now := notifications(t, js); len(now) != len(live) {
		t.Errorf("the daemon reported more while we looked: %d notifications, then %d", len(live), len(now))
	}
	problems := different(live, again)
	moved := disordered(live, again)
	if *backtestKills == 0 && len(problems) == 0 && len(moved) > 0 {
		problems = append(problems, "they are the same in another order: "+moved[0])
	}
	if len(moved) > 0 {
		t.Logf("%d are at another place in the order; first: %s", len(moved), moved[0])
	}
	for i, p := range problems {
		if i == 20 {
			t.Errorf("and %d more", len(problems)-i)
			break
		}
		t.Errorf("seed %d: %s", *seed, p)
	}
	var f figures
	f.add("crashes, losses, acknowledgements reported", fmt.Sprintf("%d, %d, %d", len(r.known()), r.losses, r.answered))
	f.add("recorded for", recorded.Round(time.Second))
	f.add("kills of the daemon", *backtestKills)
	f.add("notifications live", len(live))
	f.add("notifications of the back-test", len(again))
	f.add("back-test took", took.Round(time.Millisecond))
	f.add("of them at another place in the order", len(moved))
	for _, rule := range slices.Sorted(maps.Keys(rules)) {
		f.add("notifications of rule "+rule, rules[rule])
	}
	for _, answer := range slices.Sorted(maps.Keys(said)) {
		f.add("notifications: "+answer, said[answer])
	}
	result := "the same"
	if len(problems) > 0 {
		result = fmt.Sprintf("FAILED: %d differences", len(problems))
	}
	f.add("result", result)
	f.record(t, fmt.Sprintf("-backtest.crashes=%d -backtest.kills=%d", *backtestCrashes, *backtestKills))
}

// different returns how two lists of notifications differ, but for their order.
func different(live, again []brief) (problems []string) {
	byID := map[string]brief{}
	for _, b := range again {
		if _, twice := byID[b.ID]; twice {
			problems = append(problems, "the back-test says twice "+b.ID)
		}
		byID[b.ID] = b
	}
	for _, l := range live {
		b, ok := byID[l.ID]
		if !ok {
			problems = append(problems, fmt.Sprintf("only live: %+v", l))
		} else if d := cmp.Diff(l, b); d != "" {
			problems = append(problems, "live (-) and back-test (+) differ: "+strings.TrimSpace(d))
		}
		delete(byID, l.ID)
	}
	for _, b := range again {
		if _, only := byID[b.ID]; only {
			problems = append(problems, fmt.Sprintf("only in the back-test: %+v", b))
		}
	}
	return problems
}

// disordered returns what stands at different places of two lists. A daemon that
// was killed may tell what is due at one time in another order than one that was
// not.
func disordered(live, again []brief) (list []string) {
	for i := range min(len(live), len(again)) {
		if live[i].ID != again[i].ID {
			list = append(list, fmt.Sprintf("notification %d is %s of %v live and %s of %v in the back-test", i,
				live[i].ID, live[i].Time, again[i].ID, again[i].Time))
		}
	}
	return list
}

func TestDifferent(t *testing.T) {
	a, b := brief{ID: "a/1", Count: 1}, brief{ID: "b/1", Count: 1, Events: []string{"x"}}
	changed := b
	changed.Events = []string{"y"}
	for _, c := range []struct {
		live, again []brief
		want        int
	}{
		{live: []brief{a, b}, again: []brief{a, b}, want: 0},
		{live: []brief{a, b}, again: []brief{b, a}, want: 0},
		{live: []brief{a, b}, again: []brief{a}, want: 1},
		{live: []brief{a}, again: []brief{a, b}, want: 1},
		{live: []brief{a, b}, again: []brief{a, changed}, want: 1},
		{live: []brief{a}, again: []brief{a, a}, want: 1},
	} {
		if got := different(c.live, c.again); len(got) != c.want {
			t.Errorf("%+v and %+v: %q", c.live, c.again, got)
		}
	}
	if got := disordered([]brief{a, b}, []brief{b, a}); len(got) != 2 {
		t.Errorf("two that changed places: %q", got)
	}
}
