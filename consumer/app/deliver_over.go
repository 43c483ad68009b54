package app

import (
	"context"
	"time"

	"supernats/consumer/health"
	"supernats/schema"
	"supernats/schema/stream"
)

const (
	// isNews is how old a notification may be to be taken for what is the case now.
	isNews = time.Minute
	// maxOver bounds the questions to the stream about one batch.
	maxOver = 500
)

// markOver marks what has waited for its receiver until its alert was over: whoever reads
// it must not take it for news. What cannot be found out is left as it is.
func (d *delivery) markOver(ctx context.Context, list []*schema.CloudEvent[*schema.Notification]) {
	ended := map[string]bool{}
	for _, n := range list {
		ended[n.Data.Incident] = ended[n.Data.Incident] || n.Type == schema.TypeAlertResolved
	}
	asked := 0
	for _, n := range list {
		if ended[n.Data.Incident] || n.Data.WellSince != nil || time.Since(n.Time.Time) < isNews || asked == maxOver {
			continue
		}
		if asked++; ctx.Err() != nil {
			return
		}
		_ = health.Unbroken(ctx, d.js.Conn(), func(ctx context.Context) error {
			n.Data.WellSince = d.overSince(ctx, n.Data)
			return nil
		})
	}
}

// overSince returns when an alert was over, nil if it is not or nobody says so.
func (d *delivery) overSince(ctx context.Context, a *schema.Notification) *schema.Time {
	s, err := d.js.Stream(ctx, stream.Alerts)
	if err != nil {
		return nil
	}
	m, err := s.GetLastMsgForSubject(ctx, a.Subject())
	if err != nil {
		return nil
	}
	last, err := decode(m.Subject, m.Data)
	if err != nil || last.Type != schema.TypeAlertResolved || last.Data.Incident != a.Incident {
		return nil
	}
	return last.Data.Closed
}
