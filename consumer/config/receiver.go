package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"supernats/consumer/config/strict"
	"supernats/consumer/notify/alertmanager"
	"supernats/consumer/notify/chat"
	"supernats/consumer/notify/exec"
	"supernats/consumer/notify/mail"
	"supernats/consumer/notify/pagerduty"
	"supernats/consumer/notify/webhook"
	"supernats/schema"
)

// Receiver is an entry of the section receivers: a name and the settings of one
// of the kinds.
type Receiver struct {
	Name  string `yaml:"name"`
	Kinds `yaml:",inline"`
	// RateLimit holds back notifications, it drops none; nil: ForPeople for what
	// people read, and none for programs.
	RateLimit *RateLimit `yaml:"rate_limit"`
}

// Kinds has a field for each kind of receiver, whose type has the methods WithDefaults and
// Validate of mail.Config. Package notify says what else a new kind needs.
type Kinds struct {
	Alertmanager *alertmanager.Config `yaml:"alertmanager"`
	Discord      *chat.DiscordConfig  `yaml:"discord"`
	Exec         *exec.Config         `yaml:"exec"`
	Mail         *mail.Config         `yaml:"mail"`
	Ntfy         *chat.NtfyConfig     `yaml:"ntfy"`
	PagerDuty    *pagerduty.Config    `yaml:"pagerduty"`
	Slack        *chat.SlackConfig    `yaml:"slack"`
	Teams        *chat.TeamsConfig    `yaml:"teams"`
	Telegram     *chat.TelegramConfig `yaml:"telegram"`
	Webhook      *webhook.Config      `yaml:"webhook"`
}

// Mail is the section mail.
type Mail struct {
	mail.Config `yaml:",inline"`
	RateLimit   *RateLimit `yaml:"rate_limit"`
}

// WithDefaults fills in what has a fixed default.
func (m Mail) WithDefaults() Mail {
	m.Config = m.Config.WithDefaults()
	return m
}

// RateLimit lets Burst notifications through at once, and one more per Every
// after it.
type RateLimit struct {
	Burst int             `yaml:"burst"`
	Every schema.Duration `yaml:"every"`
}

// Validate reports everything that is wrong, a line for each key.
func (l RateLimit) Validate() error {
	var errs []error
	if l.Burst < 1 {
		errs = append(errs, fmt.Errorf("burst: invalid value %d: want 1 or more", l.Burst))
	}
	if l.Every <= 0 {
		errs = append(errs, fmt.Errorf("every: invalid value %v: want a duration above zero", l.Every))
	}
	return errors.Join(errs...)
}

// mailReceiver is the name of the receiver that the section mail makes, and of its
// kind.
const mailReceiver = "mail"

// AllReceivers returns the receivers that rules may name, that of the section
// mail first.
func (c *Config) AllReceivers() []Receiver {
	var all []Receiver
	if c.Mail != nil {
		all = append(all, Receiver{Name: mailReceiver, Kinds: Kinds{Mail: &c.Mail.Config}, RateLimit: c.Mail.RateLimit})
	}
	return append(all, c.Receivers...)
}

// Addressees returns the names of the receivers that a notification goes to; none for a
// quiet one, which is for no people.
func (c *Config) Addressees(n *schema.Notification) []string {
	if n.Quiet {
		return nil
	}
	if len(n.Notify) > 0 {
		return n.Notify
	}
	return c.ReceiverNames()
}

// ReceiverNames returns the names of AllReceivers, in their order.
func (c *Config) ReceiverNames() []string {
	var list []string
	for _, r := range c.AllReceivers() {
		list = append(list, r.Name)
	}
	return list
}

// settings are those of one kind of receiver.
type settings interface{ Validate() error }

// kind is a kind of receiver with its settings.
type kind struct {
	name     string
	settings settings
}

// configured returns the kinds that have settings.
func (k *Kinds) configured() []kind {
	var list []kind
	v := reflect.ValueOf(k).Elem()
	for _, name := range kindNames() {
		f := v.FieldByIndex(strict.Fields(v.Type())[name].Index)
		if s, ok := f.Interface().(settings); ok && !f.IsNil() {
			list = append(list, kind{name: name, settings: s})
		}
	}
	return list
}

func kindNames() []string { return strict.KeyNames(reflect.TypeFor[Kinds]()) }

// maxName bounds the name of a receiver, in bytes: it becomes part of the name of a
// consumer.
const maxName = 64

// checkReceivers checks the section mail and the list receivers.
func (p *problems) checkReceivers(c *Config) {
	var badMail error
	if c.Mail != nil {
		badMail = c.Mail.Validate()
		p.addSection(mailReceiver, badMail)
		p.checkRateLimit("mail.rate_limit", c.Mail.RateLimit)
	}

	taken := map[string]string{}
	for i := range c.Receivers {
		r := &c.Receivers[i]
		at := fmt.Sprintf("receivers[%d]", i)
		p.checkName(r.Name, at, taken)
		p.checkRateLimit(at+".rate_limit", r.RateLimit)

		kinds := r.configured()
		if len(kinds) == 0 {
			p.add(at, "no settings: want one of %s", strings.Join(kindNames(), ", "))
		}
		for _, k := range kinds[min(1, len(kinds)):] {
			p.add(at+"."+k.name, "found beside %s: want one of %s",
				kinds[0].name, strings.Join(kindNames(), ", "))
		}
		for _, k := range kinds {
			// What is wrong in the section mail was inherited, and is reported there.
			if badMail == nil || k.name != mailReceiver {
				p.addSection(at+"."+k.name, k.settings.Validate())
			}
		}
	}
}

// checkName checks the name of a receiver, which becomes part of that of a consumer, in small
// letters. taken holds which receiver has each name so far.
func (p *problems) checkName(name, receiver string, taken map[string]string) {
	at := receiver + ".name"
	folded := strings.ToLower(name)
	other, isTaken := taken[folded]

	switch {
	case name == "":
		p.add(at, "missing; a receiver needs a name, for example chat")
		return
	case len(name) > maxName:
		p.add(at, "invalid value of %d bytes: want at most %d", len(name), maxName)
	case strings.ContainsFunc(name, func(r rune) bool { return !isNameRune(r) }):
		p.add(at, "invalid value %q: want letters, digits, '-', '_' and '.'", name)
	case folded == mailReceiver:
		p.add(at, "invalid value %q: it is the name of the receiver of the section mail; want another one",
			name)
	case isTaken:
		p.add(at, "duplicate name %q, also that of %s; want another one (small letters and capitals count as the same)",
			name, other)
	}
	taken[folded] = receiver
}

func isNameRune(r rune) bool {
	return r != unicode.ReplacementChar &&
		(unicode.In(r, unicode.Letter, unicode.Mark, unicode.Digit) || strings.ContainsRune("-_.", r))
}

func (p *problems) checkRateLimit(at string, l *RateLimit) {
	if l != nil {
		p.addSection(at, l.Validate())
	}
}

// checkNotify checks that the receivers exist that rules name.
func (p *problems) checkNotify(c *Config) {
	for i, r := range c.Rules {
		at := fmt.Sprintf("rules[%d]", i)
		p.checkNames(c, at+".notify", r.Notify)
		for j, step := range r.Escalate {
			p.checkNames(c, fmt.Sprintf("%s.escalate[%d].notify", at, j), step.Notify)
		}
	}
}

// checkNames checks that the receivers of a list exist.
func (p *problems) checkNames(c *Config, at string, names []string) {
	known := c.ReceiverNames()
	for i, name := range names {
		if slices.Contains(known, name) {
			continue
		}

		want := "want one of the receivers " + strings.Join(known, ", ")
		if len(known) == 0 {
			want = "there are no receivers; add a section mail or receivers"
		}
		p.add(fmt.Sprintf("%s[%d]", at, i), "unknown receiver %q: %s", name, want)
	}
}
