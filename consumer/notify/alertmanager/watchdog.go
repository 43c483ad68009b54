package alertmanager

import (
	"context"
	"fmt"
	"slices"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/notify/post"
)

// watchdogName is what kube-prometheus calls an alert that always fires: a route to a dead
// man's switch looks for it.
const watchdogName = "Watchdog"

// KeepFiring has an alert fire there for some time that says nothing but that we are alive
// and notify people. It is a success if one of the Alertmanagers takes it.
func (r *Receiver) KeepFiring(ctx context.Context, lasts time.Duration) error {
	who := notify.ReceiverName("alertmanager", r.name)
	poster, err := post.NewPoster(who, r.cfg.HTTPConfig, r.id)
	if err != nil {
		return err
	}
	defer poster.Close()

	errs := make([]error, len(r.cfg.URLs))
	for i, url := range r.cfg.URLs {
		p, err := r.post(url)
		if err != nil {
			errs[i] = fmt.Errorf("%s: %w", who, err)
			continue
		}
		p.Body = []postableAlert{r.watchdogAlert(url, lasts)}
		errs[i] = poster.Do(ctx, p)
	}
	if slices.Contains(errs, nil) {
		return nil
	}
	return joinErrors(errs)
}

// watchdogAlert is timed by the clock of the Alertmanager, as far as we know it.
func (r *Receiver) watchdogAlert(url string, lasts time.Duration) postableAlert {
	r.mu.Lock()
	now := r.now().Add(r.clocks[url]).UTC()
	r.mu.Unlock()

	return postableAlert{
		Labels: map[string]string{"alertname": watchdogName, "severity": "none", "instance": r.id.Instance},
		Annotations: map[string]string{
			"summary": "supernats is alive: it reads events and notifies people",
			"description": "This alert always fires. When it stops, supernats notifies nobody: " +
				"route it to a dead man's switch.",
		},
		StartsAt: now.Add(-time.Second), EndsAt: now.Add(lasts), GeneratorURL: r.id.URL,
	}
}
