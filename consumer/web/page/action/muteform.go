package action

import (
	"cmp"
	"net/url"
	"strings"
	"time"

	"supernats/consumer/fleet"
	"supernats/consumer/silences"
	"supernats/consumer/web/page/look"
	"supernats/schema"
)

// MuteForm is the form of a new silence, as it was typed: globs with commas between them.
type MuteForm struct {
	Host, Group, Process, Rule string
	Comment, For               string
	Lasts                      []look.Choice
	// Author is under which name the silence is made.
	Author string
	// Covers is what it would match, if that is known.
	Covers  string
	Refusal Refusal
}

// MuteFormOf reads the form from an address or from what was sent.
func MuteFormOf(q url.Values, author string) *MuteForm {
	text := func(key string) string { return strings.Join(List(q, key), ", ") }
	f := &MuteForm{
		Host: text("host"), Group: text("group"), Process: text("process"), Rule: text("rule"),
		Comment: q.Get("comment"), For: q.Get("for"), Author: author,
	}
	f.Lasts = look.LastsChoices(cmp.Or(f.For, "1h"))
	return f
}

// Silence returns what the form describes. With an error, it is what there is of it.
func (f *MuteForm) Silence(now time.Time) (*schema.Mute, error) {
	m := &schema.Mute{
		Hosts: globs(f.Host), Groups: globs(f.Group), Processes: globs(f.Process), Rules: globs(f.Rule),
		Comment: strings.TrimSpace(f.Comment), Author: f.Author, Created: schema.Time{Time: schema.Instant(now)},
	}
	lasts, err := lasting(f.For)
	m.Expires = silences.RoundExpiry(m.Created.Time, lasts)

	switch {
	case len(m.Hosts)+len(m.Groups)+len(m.Processes)+len(m.Rules) == 0:
		return m, &Mistake{"host", "nothing says what to silence: give a host, a group, a process or a rule; " +
			"* as the host is every alert"}
	case err != nil:
		return m, err
	case m.Comment == "":
		return m, &Mistake{
			"comment", "the reason is missing: say why, for those who wonder why nobody was notified",
		}
	}
	if err := silences.Check(m); err != nil {
		field, _, _ := strings.Cut(err.Error(), ":")
		return m, &Mistake{field, err.Error()}
	}
	return m, nil
}

// Look says in the form what the silence would match in a snapshot, if anything is filled in.
func (f *MuteForm) Look(s *fleet.Snapshot) {
	if f.Host+f.Group+f.Process+f.Rule == "" {
		return
	}
	m, _ := f.Silence(time.Now()) // what is missing is asked for when it is sent
	f.Covers = look.Coverage(m, s)
}

func globs(text string) []string {
	return List(url.Values{"": schema.SplitGlobs([]string{text})}, "")
}
