package page

import (
	"net/http"
	"time"

	"supernats/consumer/fleet"
	"supernats/consumer/web/page/look"
	"supernats/consumer/web/site"
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
	out := &shown{title: "Silences"}
	if err := v.pages.setStatus(out, s, now); err != nil {
		return nil, err
	}
	for i := range s.Mutes {
		if i == fleet.MaxLimit {
			break
		}
		r := look.MuteRowOf(&s.Mutes[len(s.Mutes)-1-i], s, now) // the youngest first
		if v.pages.mayMute() {
			r.EndPath = "/mutes/" + r.ID + "/end"
		}
		if err := out.add(v.pages, "mute-row", "mutes", r.Element, r); err != nil {
			return nil, err
		}
	}
	out.data = &mutesData{Total: len(s.Mutes), MayMute: v.pages.mayMute()}
	out.Summary = wording.Count(len(s.Mutes), "silence is in force", "silences are in force")
	return out, nil
}

func (v *mutesView) complete(r *http.Request, a *answer) error {
	data := a.data.(*mutesData)
	data.Made, data.Ended = look.Name(r.URL.Query().Get("made")), look.Name(r.URL.Query().Get("ended"))
	return nil
}

// mayMute reports whether silences can be made and ended here.
func (p *Pages) mayMute() bool { return p.Site.Allows(site.AllowMute) }

// lasting reads how long a silence is to last.
func lasting(text string) (time.Duration, bool) {
	d, err := schema.ParseDuration(text)
	return time.Duration(d), err == nil && d > 0
}
