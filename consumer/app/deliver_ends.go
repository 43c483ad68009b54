package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/stream"
)

// withEnds adds the end of each alert that has ended since: who is told of it so late
// shall not take it for one that lasts, and a service that keeps incidents would wait
// for that end for ever. If there is a younger alert about the same, what was said of
// it last comes after that end.
func (d *delivery) withEnds(ctx context.Context, batch []parkedOne) (list []*schema.CloudEvent[*schema.Notification], err error) {
	alerts, err := d.js.Stream(ctx, stream.Alerts)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", stream.Alerts, err)
	}
	for _, p := range batch {
		list = append(list, p.n)
	}
	seen := map[string]bool{}
	for _, p := range slices.Backward(batch) {
		if alert := p.n.Data.Incident; !seen[alert] && p.n.Type != schema.TypeAlertResolved {
			end, err := endOf(ctx, alerts, p)
			if err != nil {
				return nil, err
			}
			list = append(list, end...)
		}
		seen[p.n.Data.Incident] = true
	}
	return list, nil
}

// endOf returns the end of an alert, if the stream has it.
func endOf(ctx context.Context, alerts jetstream.Stream, p parkedOne) ([]*schema.CloudEvent[*schema.Notification], error) {
	n, subject := p.n, p.n.Data.Subject()
	last, err := alerts.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", stream.Alerts, err)
	}
	latest, err := decode(last.Subject, last.Data)
	if err != nil {
		return nil, nil // nobody can read it
	}
	if latest.Data.Incident == n.Data.Incident {
		if latest.Type == schema.TypeAlertResolved {
			return []*schema.CloudEvent[*schema.Notification]{latest}, nil
		}
		return nil, nil
	}

	// Another alert followed: its own end is further back.
	var end *schema.CloudEvent[*schema.Notification]
	for seq, read := p.from+1, 0; read < maxEnd && seq < last.Sequence; read++ {
		m, err := alerts.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read stream %s: %w", stream.Alerts, err)
		}
		seq = m.Sequence + 1
		if one, err := decode(m.Subject, m.Data); err == nil && one.Data.Incident == n.Data.Incident && one.Type == schema.TypeAlertResolved {
			end = one
		}
	}
	if end == nil {
		return nil, nil
	}
	return []*schema.CloudEvent[*schema.Notification]{end, latest}, nil
}
