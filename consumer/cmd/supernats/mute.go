package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/schema"
	"supernats/schema/stream"
)

type muteCmd struct {
	whose
	Rule    []string        `env:"-" sep:"none" placeholder:"GLOB" help:"Only alerts of these rules."`
	All     bool            `env:"-" help:"Every alert there is."`
	For     schema.Duration `env:"-" placeholder:"DURATION" help:"How long: 30m, 2h, 1d."`
	Until   time.Time       `env:"-" placeholder:"TIME" help:"Up to then (RFC 3339)."`
	Comment string          `env:"-" help:"Why. Required."`
	Author  string          `env:"-" placeholder:"NAME" help:"Who; default: $$USER@host."`
	outputFlag
}

// mute is the silence that the flags describe, but for its id.
func (m *muteCmd) mute(now time.Time) (*schema.Mute, error) {
	filter, err := m.filter()
	if err != nil {
		return nil, err
	}
	rules := globs(m.Rule)
	if err := (consumer.Filter{Groups: rules}).Check(); err != nil {
		return nil, usageError{err}
	}
	some := len(filter.Hosts)+len(filter.Groups)+len(filter.Processes)+len(rules) > 0
	var wrong string
	switch {
	case !some && !m.All:
		wrong = "nothing says what to mute: give --host, --group, --process or --rule, or --all for every alert"
	case some && m.All:
		wrong = "--all mutes every alert, so it goes without --host, --group, --process and --rule"
	case strings.TrimSpace(m.Comment) == "":
		wrong = "--comment is missing: say why, for those who wonder why nobody was told"
	case (m.For == 0) == m.Until.IsZero():
		wrong = "give either --for (30m, 2h, 1d) or --until (2026-11-21T19:00:00Z)"
	case m.For == 0 && !m.Until.After(now):
		wrong = "--until " + m.Until.Format(time.RFC3339) + " is not in the future"
	}
	if wrong != "" {
		return nil, usageError{errors.New(wrong)}
	}
	lasts := time.Duration(m.For)
	if m.For == 0 {
		lasts = m.Until.Sub(now)
	}
	author := m.Author
	if author == "" {
		author = whoami()
	}
	return &schema.Mute{
		Hosts: filter.Hosts, Groups: filter.Groups, Processes: filter.Processes, Rules: rules,
		Comment: m.Comment, Author: author, Created: schema.Time{Time: now},
		// NATS counts whole seconds, and cuts off the rest.
		Expires: schema.Time{Time: now.Add((lasts + time.Second - 1).Truncate(time.Second))},
	}, nil
}

// whoami is the author if nobody says.
func whoami() string {
	name := os.Getenv("USER")
	if u, err := user.Current(); name == "" && err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return cmp.Or(name, "unknown") + "@" + host
}

// Run stores the silence and prints what it mutes now.
func (m *muteCmd) Run(ctx context.Context, c *common) error {
	mute, err := m.mute(time.Now())
	if err != nil {
		return err
	}
	var rules namedRules
	if cfg, err := c.load(); err == nil && c.Config != "" { // if not, it is said when NATS is reached
		rules = namedRules{c.Config, cfg.RuleNames()}
	}

	stored := false
	err = c.with(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		kv, err := openBucket(ctx, js, stream.MutesBucket)
		if err != nil {
			return err
		}
		for !stored {
			mute.ID = newMuteID(mute.Created.Time)
			value, err := schema.Marshal(mute)
			if err != nil {
				return err
			}
			_, err = kv.Create(ctx, mute.ID, value, jetstream.KeyTTL(mute.Expires.Sub(mute.Created.Time)))
			if stored = err == nil; !stored && !errors.Is(err, jetstream.ErrKeyExists) {
				return fmt.Errorf("store the silence in bucket %s: %w", stream.MutesBucket, err)
			}
		}
		alerts, err := readAlerts(ctx, js)
		if err != nil {
			return err
		}
		shown := shownMute{Mute: *mute, Alerts: mutedBy(mute, alerts)}
		if shown.Covers, err = coverage(ctx, js, mute, rules); err != nil {
			return err
		}
		if output := outputFor(os.Stdout, m.Output); output != outputTable {
			shown.warn()
			return printJSON(os.Stdout, output, []shownMute{shown})
		}
		return printMute(&shown, alerts)
	})
	if err != nil && stored {
		return fmt.Errorf("silence %s holds, but what it matches could not be read: %w", mute.ID, err)
	}
	return err
}

// warn says on stderr, for those who read no JSON, that a silence matches nothing.
func (m *shownMute) warn() {
	if !m.Covers.nothing() || len(m.Alerts) > 0 {
		return
	}
	say("supernats: silence %s %s", m.ID, m.Covers)
	for _, hint := range m.Covers.Hints {
		say("supernats: %s", hint)
	}
	fmt.Fprintln(os.Stderr, "supernats: if something else was meant:", unmuteIt(m))
}

// unmuteIt is the command that takes a silence back.
func unmuteIt(m *shownMute) string { return "supernats unmute " + m.ID }

func printMute(m *shownMute, alerts []schema.Alert) error {
	fmt.Printf("%s mutes %s until %s\n", m.ID, clean(matchers(&m.Mute)), date(&m.Expires))
	fmt.Printf("It %s.\n", m.Covers)
	for _, hint := range m.Covers.Hints {
		fmt.Println(clean(hint))
	}
	if m.Covers.nothing() {
		fmt.Println("If something else was meant:", unmuteIt(m))
	}
	if len(m.Alerts) == 0 {
		_, err := fmt.Println("No alert is open that it mutes.")
		return err
	}
	fmt.Println("It mutes these open alerts:")
	g := grid{columns: []string{"STATUS", "SEVERITY", "RULE", "HOST", "PROCESS", "SINCE"}, colored: "STATUS"}
	for _, a := range alerts {
		if slices.Contains(m.Alerts, a.Incident) {
			g.add(phaseColor(a.Phase), a.Phase, a.Severity, a.Rule, cmp.Or(a.Host, "-"), who(a.Group, a.Process), date(&a.Opened))
		}
	}
	return g.print(os.Stdout)
}

// digits are in the order of ASCII, so ids are in the order of their times.
const digits = "0123456789abcdefghijklmnopqrstuv"

// newMuteID is a text of ten letters and digits that sorts by time: seconds, and
// fifteen bits that tell two of one second apart.
func newMuteID(at time.Time) string {
	var random [2]byte
	_, _ = rand.Read(random[:]) // it never fails
	n := uint64(at.Unix())<<15 | uint64(random[0]&0x7f)<<8 | uint64(random[1])
	id := make([]byte, 10)
	for i := len(id) - 1; i >= 0; i-- {
		id[i], n = digits[n&31], n>>5
	}
	return string(id)
}

// silences reports whether a silence matches an alert.
func silences(m *schema.Mute, a *schema.Alert) bool {
	return schema.MatchAny(m.Hosts, a.Host) && schema.MatchAny(m.Groups, a.Group) &&
		schema.MatchAny(m.Processes, a.Process) && schema.MatchAny(m.Rules, a.Rule)
}

// mutedBy are the open alerts that a silence matches.
func mutedBy(m *schema.Mute, alerts []schema.Alert) []string {
	ids := []string{}
	for _, a := range alerts {
		if a.Phase != schema.PhaseResolved && silences(m, &a) {
			ids = append(ids, a.Incident)
		}
	}
	return ids
}

// matchers writes what a silence is for as its flags.
func matchers(m *schema.Mute) string {
	var flags []string
	for _, f := range []struct {
		name  string
		globs []string
	}{{"--host", m.Hosts}, {"--group", m.Groups}, {"--process", m.Processes}, {"--rule", m.Rules}} {
		for _, g := range f.globs {
			flags = append(flags, f.name+" "+g)
		}
	}
	return cmp.Or(strings.Join(flags, " "), "every alert")
}

// shownMute is a silence as it is printed.
type shownMute struct {
	schema.Mute
	// Alerts are the ids of the open alerts that it matches.
	Alerts []string `json:"alerts"`
	// Covers is what it matches of the fleet, known when it is made.
	Covers *covers `json:"covers,omitempty"`
}

func readMutes(ctx context.Context, js jetstream.JetStream) ([]schema.Mute, error) {
	mutes, err := readBucket(ctx, js, stream.MutesBucket, func(m *schema.Mute) string { return m.ID })
	slices.SortFunc(mutes, func(a, b schema.Mute) int { return strings.Compare(a.ID, b.ID) })
	return mutes, err
}

type mutesCmd struct{ outputFlag }

// Run prints the silences in force, oldest first.
func (m *mutesCmd) Run(ctx context.Context, c *common) error {
	return c.with(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		mutes, err := readMutes(ctx, js)
		if err != nil {
			return err
		}
		alerts, err := readAlerts(ctx, js)
		if err != nil {
			return err
		}
		var shown []shownMute
		for _, mute := range mutes {
			shown = append(shown, shownMute{Mute: mute, Alerts: mutedBy(&mute, alerts)})
		}
		if output := outputFor(os.Stdout, m.Output); output != outputTable {
			return printJSON(os.Stdout, output, shown)
		}
		if len(shown) == 0 {
			_, err := fmt.Fprintln(os.Stderr, "nothing is muted")
			return err
		}
		g := grid{
			columns:  []string{"ID", "MATCHES", "LEFT", "ALERTS", "AUTHOR", "CREATED", "COMMENT"},
			optional: []string{"CREATED", "ALERTS", "AUTHOR"},
			flexible: map[string]int{"MATCHES": wideName, "AUTHOR": wideName, "COMMENT": wideText},
		}
		now := time.Now()
		for _, s := range shown {
			g.add(grey, s.ID, matchers(&s.Mute), age(s.Expires.Sub(now)), dash(len(s.Alerts)), s.Author, date(&s.Created), s.Comment)
		}
		return g.print(os.Stdout)
	})
}

type unmuteCmd struct {
	IDs []string `arg:"" name:"id" help:"Ids of silences, see supernats mutes."`
}

// Run ends silences.
func (u *unmuteCmd) Run(ctx context.Context, c *common) error {
	return c.with(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		kv, err := openBucket(ctx, js, stream.MutesBucket)
		if err != nil {
			return err
		}
		var errs []error
		for _, id := range u.IDs {
			if err := unmute(ctx, kv, id); err != nil {
				errs = append(errs, err)
				continue
			}
			fmt.Println(id, "has ended")
		}
		return errors.Join(errs...)
	})
}

func unmute(ctx context.Context, kv jetstream.KeyValue, id string) error {
	e, err := kv.Get(ctx, id)
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrInvalidKey) {
		return fmt.Errorf("there is no silence %s (any more): `supernats mutes` lists them", clean(id))
	}
	if err != nil {
		return fmt.Errorf("look up silence %s: %w", id, err)
	}
	// A purge is what NATS itself leaves when a silence expires; its marker goes
	// away too.
	if err := kv.Purge(ctx, id, jetstream.LastRevision(e.Revision()), jetstream.PurgeTTL(time.Minute)); err != nil {
		return fmt.Errorf("end silence %s: %w", id, err)
	}
	return nil
}
