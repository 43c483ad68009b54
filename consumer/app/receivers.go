package app

import (
	"fmt"
	"time"

	"supernats/consumer/config"
	"supernats/consumer/notify"
)

// addressees returns the addresses of the receivers of a configuration.
func (a *App) addressees(cfg *config.Config) ([]addressee, error) {
	id := notify.Identity{Instance: a.instance, Version: a.options.Version}
	var all []addressee
	for _, r := range cfg.AllReceivers() {
		made, err := r.New(id, a.log)
		if err != nil {
			return nil, fmt.Errorf("receiver %s: %w", r.Name, err)
		}

		var l limit
		if set := r.Limit(); set != nil {
			l = limit{burst: set.Burst, every: time.Duration(set.Every)}
		}
		for _, m := range made {
			all = append(all, addressee{Receiver: m, name: r.Name, limit: l})
		}
	}
	return all, nil
}
