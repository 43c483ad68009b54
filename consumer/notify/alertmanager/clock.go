package alertmanager

import (
	"cmp"
	"context"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/notify/link"
	"supernats/consumer/notify/post"
)

// For Alertmanager an alert ends when its end is over by Alertmanager's own clock. An end
// that is still to come there, by a second of clocks that differ, is worse than late: the
// alert counts as firing, and of two ends of a firing alert Alertmanager keeps the later
// one, which is ours of before, hours away (alert.Alert.Merge). So times are sent by its
// clock, as far as it is known from the header Date of its answers; the first answer of one
// that lags makes us send the batch once more.

// endMargin is by how much an end is set back: the way to Alertmanager takes no
// time to speak of, but Date has whole seconds only.
const endMargin = 2 * time.Second

// sendTo posts incidents to one Alertmanager.
func (r *Receiver) sendTo(
	ctx context.Context, poster *post.Poster, p post.Request, url string, incidents []*notify.Incident,
) error {
	for tries := 1; ; tries++ {
		sent := r.alerts(incidents, r.now().Add(r.clockAhead(url)))
		var date time.Time
		p.Body = sent
		p.Accepted = func(a post.Answer) *post.Refusal {
			date = a.Date
			return accepted(a)
		}
		if err := poster.Do(ctx, p); err != nil || date.IsZero() {
			return err
		}

		r.learnClock(url, date)
		if tries > 1 || !r.isMistimed(incidents, sent, date) {
			return nil
		}
	}
}

// accepted: no text, or one of JSON that is no failure. A page is one of a proxy
// before it.
func accepted(a post.Answer) *post.Refusal {
	fields, ok := a.Fields()
	if !ok || string(fields["status"]) != `"error"` {
		return nil
	}
	return &post.Refusal{Why: a.Text()}
}

// clockAhead is by how much a clock is ahead of ours, as far as is known.
func (r *Receiver) clockAhead(url string) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.clocks[url]
}

// learnClock notes what a clock has just said, or up to a second ago: what may be due to that
// is no difference.
func (r *Receiver) learnClock(url string, date time.Time) {
	ahead := date.Sub(r.now())
	if ahead < 0 {
		ahead = min(ahead+time.Second, 0)
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	r.clocks[url] = ahead
}

// isMistimed reports whether an end was not over there, or an alert that fires was or soon
// will be, or whether one began in the future.
func (r *Receiver) isMistimed(incidents []*notify.Incident, sent []postableAlert, date time.Time) bool {
	for k := range sent {
		if sent[k].StartsAt.After(date.Add(endMargin)) {
			return true
		}
		switch ends := sent[k].EndsAt; {
		case isOver(incidents[k]):
			if ends.After(date) {
				return true
			}
		case ends.Before(date.Add(time.Duration(r.cfg.Hold) / 2)):
			return true
		}
	}
	return false
}

func isOver(i *notify.Incident) bool { return i.IsResolved() || i.Alert.Closed != nil }

// alerts writes incidents by a clock that says now.
func (r *Receiver) alerts(incidents []*notify.Incident, now time.Time) []postableAlert {
	list := make([]postableAlert, len(incidents))
	for k, i := range incidents {
		links := link.OfIncident(r.id, i)
		a := postableAlert{
			Labels: i.Labels(), Annotations: i.Annotations(maxLines), GeneratorURL: cmp.Or(links.Incident, r.id.URL),
		}
		links.Annotate(a.Annotations)
		if isOver(i) {
			a.StartsAt, a.EndsAt = i.Times(now.Add(-endMargin))
		} else {
			a.StartsAt, _ = i.Times(now)
			a.EndsAt = now.UTC().Add(time.Duration(r.cfg.Hold))
		}
		list[k] = a
	}
	return list
}
