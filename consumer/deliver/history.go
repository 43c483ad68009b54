package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/health"
	"supernats/schema"
	"supernats/schema/stream"
)

const (
	// newsFor is how old a notification may be to count as news.
	newsFor = time.Minute
	// maxLookUps bounds the requests to the stream for one batch.
	maxLookUps = 500
	// maxEnd bounds how many notifications are read to find the end of an alert.
	maxEnd = 100
)

// history looks up what has happened to alerts since a notification was made.
type history struct {
	js jetstream.JetStream
}

// markOver marks the notifications whose alert has ended while they waited, so that nobody
// takes them for news. What cannot be determined stays as it is.
func (h history) markOver(ctx context.Context, list []notification) {
	ended := map[string]bool{}
	for _, n := range list {
		ended[n.Data.Incident] = ended[n.Data.Incident] || n.Type == schema.TypeAlertResolved
	}

	lookUps := 0
	for _, n := range list {
		isNews := time.Since(n.Time.Time) < newsFor
		if ended[n.Data.Incident] || n.Data.WellSince != nil || isNews || lookUps == maxLookUps {
			continue
		}
		lookUps++
		if ctx.Err() != nil {
			return
		}
		_ = health.Unbroken(ctx, h.js.Conn(), func(ctx context.Context) error {
			n.Data.WellSince = h.overSince(ctx, n.Data)
			return nil
		})
	}
}

// overSince returns when an alert ended, nil if it has not or that is unknown.
func (h history) overSince(ctx context.Context, a *schema.Notification) *schema.Time {
	s, err := h.js.Stream(ctx, stream.Alerts)
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

// withEnds returns the notifications of a batch, and the end of each alert that has ended
// since. Otherwise a late notification would look like an alert that lasts, and a service
// that keeps incidents would wait for the end for ever. If a later alert about the same
// subject exists, its last notification follows the end.
func (h history) withEnds(ctx context.Context, batch []parkedOne) (list []notification, err error) {
	alerts, err := h.js.Stream(ctx, stream.Alerts)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", stream.Alerts, err)
	}
	for _, p := range batch {
		list = append(list, p.n)
	}

	seen := map[string]bool{}
	for _, p := range slices.Backward(batch) {
		incident := p.n.Data.Incident
		if !seen[incident] && p.n.Type != schema.TypeAlertResolved {
			end, err := endOf(ctx, alerts, p)
			if err != nil {
				return nil, err
			}
			list = append(list, end...)
		}
		seen[incident] = true
	}
	return list, nil
}

// endOf returns the end of an alert, if the stream has it.
func endOf(ctx context.Context, alerts jetstream.Stream, p parkedOne) ([]notification, error) {
	incident, subject := p.n.Data.Incident, p.n.Data.Subject()
	last, err := alerts.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", stream.Alerts, err)
	}
	latest, err := decode(last.Subject, last.Data)
	if err != nil {
		return nil, nil // it is unreadable
	}
	if latest.Data.Incident == incident {
		if latest.Type == schema.TypeAlertResolved {
			return []notification{latest}, nil
		}
		return nil, nil
	}

	// Another alert followed, so that the end is further back.
	var end notification
	for seq, read := p.from+1, 0; read < maxEnd && seq < last.Sequence; read++ {
		m, err := alerts.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read stream %s: %w", stream.Alerts, err)
		}
		seq = m.Sequence + 1
		n, err := decode(m.Subject, m.Data)
		if err == nil && n.Data.Incident == incident && n.Type == schema.TypeAlertResolved {
			end = n
		}
	}
	if end == nil {
		return nil, nil
	}
	return []notification{end, latest}, nil
}
