package app

import (
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"supernats/consumer/notify"
	"supernats/consumer/notify/alertmanager"
	"supernats/consumer/notify/chat"
	"supernats/consumer/notify/exec"
	"supernats/consumer/notify/mail"
	"supernats/consumer/notify/pagerduty"
	"supernats/consumer/notify/webhook"
)

// addressees makes the receivers of a configuration.
func (a *App) addressees(cfg Config) ([]addressee, error) {
	id := notify.Identity{Instance: a.instance, Version: a.options.Version}
	var all []addressee
	for _, r := range cfg.AllReceivers() {
		made, limit, err := r.make(id, a.log)
		if err != nil {
			return nil, fmt.Errorf("receiver %s: %w", r.Name, err)
		}
		if r.RateLimit != nil {
			limit.burst, limit.every = r.RateLimit.Burst, time.Duration(r.RateLimit.Every)
		}
		for _, m := range made {
			all = append(all, addressee{Receiver: m, name: r.Name, limit: limit})
		}
	}
	return all, nil
}

// make returns the receiver, one for each address of a mail, and the limit of its
// kind: programs take what comes, people do not.
func (r *Receiver) make(id notify.Identity, log zerolog.Logger) (made []notify.Receiver, l limit, err error) {
	one := func(to notify.Receiver, err error) ([]notify.Receiver, error) { return []notify.Receiver{to}, err }
	switch k := r.Kinds; {
	case k.Mail != nil:
		made, err = mails(r.Name, *k.Mail, id)
		return made, forPeople, err
	case k.Slack != nil:
		made, err = one(chat.NewSlack(r.Name, *k.Slack, id))
		return made, forPeople, err
	case k.Teams != nil:
		made, err = one(chat.NewTeams(r.Name, *k.Teams, id))
		return made, forPeople, err
	case k.Discord != nil:
		made, err = one(chat.NewDiscord(r.Name, *k.Discord, id))
		return made, forPeople, err
	case k.Telegram != nil:
		made, err = one(chat.NewTelegram(r.Name, *k.Telegram, id))
		return made, forPeople, err
	case k.Ntfy != nil:
		made, err = one(chat.NewNtfy(r.Name, *k.Ntfy, id))
		return made, forPeople, err
	case k.Webhook != nil:
		made, err = one(webhook.New(r.Name, *k.Webhook, id))
	case k.Alertmanager != nil:
		made, err = one(alertmanager.New(r.Name, *k.Alertmanager, id, log))
	case k.PagerDuty != nil:
		made, err = one(pagerduty.New(r.Name, *k.PagerDuty, id))
	case k.Exec != nil:
		made, err = one(exec.New(r.Name, *k.Exec, id))
	}
	return made, limit{}, err
}

// mails returns a receiver for each address.
func mails(name string, cfg mail.Config, id notify.Identity) ([]notify.Receiver, error) {
	made, err := mail.New(cfg, id)
	if err != nil {
		return nil, err
	}
	all := make([]notify.Receiver, len(made))
	for i, m := range made {
		all[i] = named{m, name + "/" + m.Address()}
	}
	return all, nil
}

// named is a receiver under the name that the configuration gives it.
type named struct {
	notify.Receiver
	name string
}

func (n named) Name() string { return n.name }
