package app

import (
	"fmt"
	"time"

	"supernats/consumer/config"
	"supernats/consumer/deliver"
	"supernats/consumer/notify"
)

// addressees returns the addresses of the receivers of a configuration.
func (a *App) addressees(cfg *config.Config) ([]deliver.Addressee, error) {
	id := a.identity()
	var all []deliver.Addressee
	for _, r := range cfg.AllReceivers() {
		made, err := r.New(id, a.log)
		if err != nil {
			return nil, fmt.Errorf("receiver %s: %w", r.Name, err)
		}

		var l deliver.Limit
		if set := r.Limit(); set != nil {
			l = deliver.Limit{Burst: set.Burst, Every: time.Duration(set.Every)}
		}
		for _, m := range made {
			all = append(all, deliver.Addressee{Receiver: m, Called: r.Name, Limit: l})
		}
	}
	return all, nil
}

// identity is who this instance is for those whom it notifies.
func (a *App) identity() notify.Identity {
	return notify.Identity{Instance: a.instance, Version: a.options.Version, URL: a.cfg.Site().URL("/")}
}
