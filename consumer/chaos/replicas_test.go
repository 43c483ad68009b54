package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"supernats/consumer/notify/mail/smtptest"
	"supernats/schema"
	"supernats/schema/stream"
)

var (
	replicaKills   = flag.Int("replicas.kills", 3, "how often the active one of three consumers is killed")
	replicaCrashes = flag.Int("replicas.crashes", 500, "crashes while they are killed, at least")
)

const (
	// crashEvery is how fast the fleet dies.
	crashEvery = 40 * time.Millisecond
	// takeOver is how long it may take until another one works.
	takeOver = 10 * time.Second
	// inFlight is how long before a kill a mail may have been accepted whose
	// acknowledgement was not stored: the server needs a tenth of a second for each.
	inFlight  = 2 * time.Second
	mailDelay = 100 * time.Millisecond
)

// replica is one of several consumers, over its lives.
type replica struct {
	config string
	now    *daemon
}

// replicas are consumers on one NATS.
type replicas struct {
	tb  testing.TB
	js  jetstream.JetStream
	all []*replica

	mu      sync.Mutex
	active  *daemon // the last that said so
	since   time.Time
	changed chan struct{} // closed when active changes
	lives   []*daemon

	kills   []time.Time
	took    []time.Duration // from a kill until another one said that it is active
	leases  []lease
	waiting sync.WaitGroup // for restarts
}

// lease is the record by which consumers agree who works.
type lease struct {
	Instance string    `json:"instance"`
	Since    time.Time `json:"since"`
}

func startReplicas(tb testing.TB, js jetstream.JetStream, n int, config string) *replicas {
	tb.Helper()
	r := &replicas{tb: tb, js: js, changed: make(chan struct{})}
	for range n {
		one := &replica{config: config}
		r.all = append(r.all, one)
		r.start(one)
	}
	return r
}

func (r *replicas) start(one *replica) {
	// The daemon may say that it is active before it is known here.
	known := make(chan *daemon, 1)
	d := startDaemon(r.tb, one.config, func(l logLine) {
		if l.Message == saidActive {
			d := <-known
			known <- d
			r.setActive(d)
		}
	})
	r.mu.Lock()
	one.now = d
	r.lives = append(r.lives, d)
	r.mu.Unlock()
	known <- d
}

func (r *replicas) setActive(d *daemon) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.active, r.since = d, time.Now()
	close(r.changed)
	r.changed = make(chan struct{})
}

// waitActive waits until another one than not is active.
func (r *replicas) waitActive(ctx context.Context, not *daemon) (*daemon, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*takeOver)
	defer cancel()
	for {
		r.mu.Lock()
		d, since, changed := r.active, r.since, r.changed
		r.mu.Unlock()
		if d != nil && d != not {
			return d, since, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, time.Time{}, fmt.Errorf("no other consumer said that it is active within %v", 3*takeOver)
		}
	}
}

// killActive kills the active one again and again; each is started again a while
// later.
func (r *replicas) killActive(ctx context.Context, dice *rand.Rand, n int) error {
	var last *daemon
	for range n {
		_, since, err := r.waitActive(ctx, last)
		if err != nil {
			return err
		}
		if len(r.kills) > 0 {
			r.took = append(r.took, since.Sub(r.kills[len(r.kills)-1]))
		}
		if err := r.readLease(ctx); err != nil {
			return err
		}
		if !pause(ctx, between(dice, 200*time.Millisecond, 3*time.Second)) {
			return ctx.Err()
		}
		r.mu.Lock()
		d := r.active
		r.mu.Unlock()
		r.kills = append(r.kills, time.Now())
		d.kill()
		last = d
		r.restart(ctx, d, between(dice, 500*time.Millisecond, 4*time.Second))
	}
	_, since, err := r.waitActive(ctx, last)
	if err != nil {
		return err
	}
	r.took = append(r.took, since.Sub(r.kills[len(r.kills)-1]))
	return r.readLease(ctx)
}

// restart starts the replica again whose life was d.
func (r *replicas) restart(ctx context.Context, d *daemon, after time.Duration) {
	r.mu.Lock()
	i := slices.IndexFunc(r.all, func(one *replica) bool { return one.now == d })
	r.mu.Unlock()
	r.waiting.Go(func() {
		if pause(ctx, after) {
			r.start(r.all[i])
		}
	})
}

// readLease reads who has the lease.
func (r *replicas) readLease(ctx context.Context) error {
	kv, err := r.js.KeyValue(ctx, stream.LeasesBucket)
	if err != nil {
		return err
	}
	entry, err := kv.Get(ctx, "consume")
	if err != nil {
		return fmt.Errorf("read the lease: %w", err)
	}
	var l lease
	if err := json.Unmarshal(entry.Value(), &l); err != nil {
		return fmt.Errorf("%w: %s", err, entry.Value())
	}
	if l.Instance == "" || l.Since.IsZero() {
		return fmt.Errorf("the lease says %s", entry.Value())
	}
	r.leases = append(r.leases, l)
	return nil
}

// The active one of three consumers is killed again and again while processes
// crash: people are notified of every crash once, by one of them.
func TestReplicas(t *testing.T) {
	besideOthers(t)
	t.Logf("seed %d", *seed)
	url := startNATS(t)
	js := connect(t, url)
	smtp := smtptest.Serve(t, smtptest.Options{Behaviour: smtptest.Behaviour{Delay: mailDelay}})
	r := startReplicas(t, js, 3, writeConfig(t, url, smtp, noLimit, "group_interval: 2s\nresolve_after: 2s\nrepeat_interval: 2s\n"))
	if _, _, err := r.waitActive(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	r.active.waitFor(t, saidReading)
	f := newFleet(t, js, 5, 2, 4)

	begun := time.Now()
	if err := r.under(t.Context(), f); err != nil {
		t.Fatalf("seed %d: %v", *seed, err)
	}
	r.waiting.Wait()
	took := time.Since(begun)
	known := f.known()
	if !settle(time.Minute, func() bool {
		return len(unnotified(known, notifications(t, js))) == 0 && len(openAlerts(t, js)) == 0 && delivered(t, js)
	}) {
		t.Errorf("seed %d: a minute after all is well all mails are sent: %t, and alerts are open: %q", *seed, delivered(t, js), openAlerts(t, js))
	}
	notes := notifications(t, js)
	resumed := r.resumed(notes)
	repeated, problems := r.compare(known, notes, smtp.Mails())
	for i, p := range problems {
		if i == 30 {
			t.Errorf("and %d more", len(problems)-i)
			break
		}
		t.Errorf("seed %d: %s", *seed, p)
	}
	for i, d := range append(slices.Clone(r.took), resumed...) {
		if d > takeOver {
			t.Errorf("seed %d: take-over %d took %v", *seed, i, d)
		}
	}
	var fig figures
	fig.add("kills of the active one of 3", len(r.kills))
	fig.add("crashes", len(known))
	fig.add("time", took.Round(time.Second))
	fig.add("alerts, notifications, mails", fmt.Sprintf("%d, %d, %d", alertsOf(notes), len(notes), len(smtp.Mails())))
	fig.add("kill to another one active, median, max", fmt.Sprintf("%v, %v", middle(r.took), slices.Max(r.took).Round(time.Millisecond)))
	fig.add("kill to the next notification, median, max", fmt.Sprintf("%v, %v", middle(resumed), slices.Max(resumed).Round(time.Millisecond)))
	fig.add("mails in flight at a kill that came again", repeated)
	result := "every crash notified once"
	if len(problems) > 0 {
		result = fmt.Sprintf("FAILED: %d problems", len(problems))
	}
	fig.add("result", result)
	fig.record(t, fmt.Sprintf("-replicas.kills=%d -replicas.crashes=%d", *replicaKills, *replicaCrashes))
}

func middle(of []time.Duration) time.Duration {
	of = slices.Clone(of)
	slices.Sort(of)
	return of[len(of)/2].Round(time.Millisecond)
}

// under lets the fleet crash while the active consumers are killed, until both have
// had enough.
func (r *replicas) under(ctx context.Context, f *fleet) error {
	g, ctx := errgroup.WithContext(ctx)
	killing, killed := context.WithCancel(ctx)
	g.Go(func() error {
		defer killed()
		return r.killActive(ctx, chance(1), *replicaKills)
	})
	dice := chance(2)
	g.Go(func() error {
		var crashes errgroup.Group
		processes := f.processes()
		for len(f.known()) < *replicaCrashes || killing.Err() == nil {
			if !pause(ctx, crashEvery) {
				break
			}
			p, down := processes[dice.IntN(len(processes))], between(dice, time.Millisecond, 300*time.Millisecond)
			crashes.Go(func() error { return f.crash(ctx, p, down) })
		}
		return errors.Join(ctx.Err(), crashes.Wait())
	})
	return g.Wait()
}

// resumed returns for each kill how long nobody notified after it. What the killed
// one had sent may be stored just after it.
func (r *replicas) resumed(notes []note) (took []time.Duration) {
	for _, kill := range r.kills {
		for _, n := range notes {
			if d := n.stored.Sub(kill); d > 100*time.Millisecond {
				took = append(took, d)
				break
			}
		}
	}
	return took
}

// compare returns how many mails came again, and all that is wrong.
func (r *replicas) compare(known []crash, notes []note, mails []smtptest.Mail) (repeated int, problems []string) {
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	ids, events := map[string]int{}, map[string]int{}
	for _, n := range notes {
		ids[n.ID]++
		for _, e := range n.Data.Events {
			if e.Event == schema.ProcessStateExited {
				events[e.ID]++
			}
		}
	}
	for id, n := range ids {
		if n > 1 {
			wrong("notification %s is there %d times", id, n)
		}
	}
	for _, c := range known {
		if events[c.id] != 1 {
			wrong("crash %s of %s is in %d notifications", c.id, c.process, events[c.id])
		}
		delete(events, c.id)
	}
	for id := range events {
		wrong("crash %s is notified and nobody knows of it", id)
	}
	first := map[string]smtptest.Mail{}
	in := map[mailed]int{}
	for _, m := range mails {
		id := messageID(m)
		if was, again := first[id]; again {
			repeated++
			if !r.flew(was.Received) {
				wrong("mail %s, accepted at %v, came again and was in flight at no kill", id, was.Received)
			}
			continue
		}
		first[id] = m
		for k := range crashesIn(m) {
			in[k]++
		}
	}
	if repeated > len(r.kills) {
		wrong("%d mails came again, more than there were kills", repeated)
	}
	for _, c := range known {
		if n := in[c.key()]; n != 1 {
			wrong("crash %s of %s at %s is in %d mails", c.id, c.process, c.key().time, n)
		}
	}
	for i, l := range r.leases[1:] {
		if !l.Since.After(r.leases[i].Since) {
			wrong("after kill %d the lease says %+v, as before", i+1, l)
		}
	}
	return repeated, problems
}

// flew reports whether a mail that was accepted then may have been in flight at a
// kill: the mail server may take it shortly after, too.
func (r *replicas) flew(accepted time.Time) bool {
	return slices.ContainsFunc(r.kills, func(kill time.Time) bool {
		d := kill.Sub(accepted)
		return -2*mailDelay < d && d < inFlight
	})
}
