package config

import (
	"errors"
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
	"supernats/schema"
)

// New returns the receiver, one for each address of a mail.
func (r *Receiver) New(id notify.Identity, log zerolog.Logger) ([]notify.Receiver, error) {
	switch k := r.Kinds; {
	// For people.
	case k.Mail != nil:
		return newMails(r.Name, *k.Mail, id)
	case k.Slack != nil:
		return single(chat.NewSlack(r.Name, *k.Slack, id))
	case k.Teams != nil:
		return single(chat.NewTeams(r.Name, *k.Teams, id))
	case k.Discord != nil:
		return single(chat.NewDiscord(r.Name, *k.Discord, id))
	case k.Telegram != nil:
		return single(chat.NewTelegram(r.Name, *k.Telegram, id))
	case k.Ntfy != nil:
		return single(chat.NewNtfy(r.Name, *k.Ntfy, id))

	// For programs.
	case k.Webhook != nil:
		return single(webhook.New(r.Name, *k.Webhook, id))
	case k.Alertmanager != nil:
		return single(alertmanager.New(r.Name, *k.Alertmanager, id, log))
	case k.PagerDuty != nil:
		return single(pagerduty.New(r.Name, *k.PagerDuty, id))
	case k.Exec != nil:
		return single(exec.New(r.Name, *k.Exec, id))
	}
	return nil, fmt.Errorf("receiver %s: %w", r.Name, errNotMade)
}

// errNotMade is of settings of a kind that New does not know, or of none.
var errNotMade = errors.New("no receiver is made of its settings")

func single(made notify.Receiver, err error) ([]notify.Receiver, error) {
	return []notify.Receiver{made}, err
}

// ForPeople is the rate limit of what people read one by one.
func ForPeople() RateLimit { return RateLimit{Burst: 2, Every: schema.Duration(30 * time.Second)} }

// Limit returns the rate limit in force, nil if there is none: programs can take
// everything, people cannot.
func (r *Receiver) Limit() *RateLimit {
	if r.RateLimit != nil {
		return r.RateLimit
	}

	switch k := r.Kinds; {
	case k.Webhook != nil, k.Alertmanager != nil, k.PagerDuty != nil, k.Exec != nil:
		return nil
	}
	limit := ForPeople()
	return &limit
}

// newMails returns a receiver for each address.
func newMails(name string, cfg mail.Config, id notify.Identity) ([]notify.Receiver, error) {
	made, err := mail.New(cfg, id)
	if err != nil {
		return nil, err
	}

	all := make([]notify.Receiver, len(made))
	for i, m := range made {
		all[i] = named{Receiver: m, name: name + "/" + m.Address()}
	}
	return all, nil
}

// named is a receiver under the name that the configuration gives it.
type named struct {
	notify.Receiver
	name string
}

func (n named) Name() string { return n.name }
