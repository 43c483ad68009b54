package page

import (
	"net/http"
	"regexp"

	"supernats/consumer/fleet"
	"supernats/consumer/web/page/look"
	"supernats/consumer/wording"
	"supernats/schema"
)

// mutesView is the list of silences in force.
type mutesView struct{ pages *Pages }

type mutesData struct {
	Total   int
	MayMute bool
	// Made is a silence that was just made, Ended one that was just ended.
	Made, Ended string
}

func (v *mutesView) show(s *fleet.Snapshot, now look.Clock) (*shown, error) {
	out, err := v.pages.begin("mutes", "/mutes", "Silences", s, now)
	if err != nil {
		return nil, err
	}
	for i := range s.Mutes {
		if i == fleet.MaxLimit {
			break
		}
		r := v.pages.muteRow(&s.Mutes[len(s.Mutes)-1-i], s, now) // the youngest first
		if err := out.add("mute-row", "mutes", r.Element, r); err != nil {
			return nil, err
		}
	}
	out.data = &mutesData{Total: len(s.Mutes), MayMute: v.pages.actions.MayMute()}
	out.Summary = wording.Count(len(s.Mutes), "silence is in force", "silences are in force")
	return out, nil
}

// muteRow is a silence with the form that ends it, where that is allowed.
func (p *Pages) muteRow(m *schema.Mute, s *fleet.Snapshot, now look.Clock) look.MuteRow {
	r := look.MuteRowOf(m, s, now)
	if p.actions.MayMute() {
		r.EndPath = "/mutes/" + r.ID + "/end"
	}
	return r
}

func (v *mutesView) complete(r *http.Request, a *answer) error {
	data, q := a.data.(*mutesData), r.URL.Query()
	if id := q.Get("made"); a.snapshot.HasMute(id) { // others may have made the link
		data.Made = id
	}
	if id := q.Get("ended"); muteID.MatchString(id) && !a.snapshot.HasMute(id) {
		data.Ended = id
	}
	return nil
}

// muteID matches an id of a silence.
var muteID = regexp.MustCompile(`^[0-9a-v]{10}$`)
