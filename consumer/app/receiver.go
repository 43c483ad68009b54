package app

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

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
	// RateLimit holds back notifications, it drops none; nil: forPeople for what
	// people read, and none for programs.
	RateLimit *RateLimit `yaml:"rate_limit"`
}

// Kinds has a field for each kind of receiver, whose type has the methods
// WithDefaults and Validate of mail.Config. A new kind is a line here.
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
		errs = append(errs, fmt.Errorf("burst: found %d, allowed are 1 or more", l.Burst))
	}
	if l.Every <= 0 {
		errs = append(errs, fmt.Errorf("every: found %v, allowed is a duration above zero", l.Every))
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

func (c *Config) receiverNames() []string {
	var list []string
	for _, r := range c.AllReceivers() {
		list = append(list, r.Name)
	}
	return list
}

type validator interface{ Validate() error }

// kind is the settings of one receiver.
type kind struct {
	name string
	validator
}

// set returns the kinds that have settings.
func (k *Kinds) set() []kind {
	var set []kind
	v := reflect.ValueOf(k).Elem()
	for _, name := range kindNames() {
		f := v.FieldByIndex(fields(v.Type())[name].Index)
		if settings, ok := f.Interface().(validator); ok && !f.IsNil() {
			set = append(set, kind{name, settings})
		}
	}
	return set
}

func kindNames() []string { return names(reflect.TypeFor[Kinds]()) }

// maxName is the longest name of a receiver, in bytes: it becomes part of the
// name of a consumer.
const maxName = 64

func (p *problems) receivers(c *Config) {
	var bad error
	if c.Mail != nil {
		bad = c.Mail.Validate()
		p.section("mail", bad)
		p.limit("mail.rate_limit", c.Mail.RateLimit)
	}
	seen := map[string]string{}
	for i := range c.Receivers {
		r, at := &c.Receivers[i], fmt.Sprintf("receivers[%d]", i)
		p.name(r.Name, at, seen)
		p.limit(at+".rate_limit", r.RateLimit)
		set := r.set()
		if len(set) == 0 {
			p.add(at, "no settings, allowed is one of %s", strings.Join(kindNames(), ", "))
		}
		for _, k := range set[min(1, len(set)):] {
			p.add(at+"."+k.name, "found beside %s, allowed is one of %s", set[0].name, strings.Join(kindNames(), ", "))
		}
		for _, k := range set {
			// What is wrong in the section mail was inherited, and is told there.
			if bad == nil || k.name != mailReceiver {
				p.section(at+"."+k.name, k.Validate())
			}
		}
	}
}

// name checks that of a receiver. Names are those of consumers too, in small
// letters.
func (p *problems) name(name, at string, seen map[string]string) {
	folded := strings.ToLower(name)
	other, taken := seen[folded]
	switch at += ".name"; {
	case name == "":
		p.add(at, "missing; a receiver needs a name, for example chat")
		return
	case len(name) > maxName:
		p.add(at, "found %d bytes, allowed are %d", len(name), maxName)
	case strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.In(r, unicode.Letter, unicode.Mark, unicode.Digit) && !strings.ContainsRune("-_.", r) || r == unicode.ReplacementChar
	}):
		p.add(at, "found %q, allowed are letters, digits, '-', '_' and '.'", name)
	case folded == mailReceiver:
		p.add(at, "found %q, which is the name of the receiver of the section mail; allowed is another one", name)
	case taken:
		p.add(at, "found %q, the name of %s; allowed is another one (small letters and capitals count as the same)", name, other)
	}
	seen[folded] = strings.TrimSuffix(at, ".name")
}

func (p *problems) limit(at string, l *RateLimit) {
	if l != nil {
		p.section(at, l.Validate())
	}
}

// notify checks that the receivers which rules name are there.
func (p *problems) notify(c *Config) {
	known := c.receiverNames()
	for i, r := range c.Rules {
		for j, name := range r.Notify {
			if slices.Contains(known, name) {
				continue
			}
			allowed := "allowed are the receivers " + strings.Join(known, ", ")
			if len(known) == 0 {
				allowed = "there are no receivers: add a section mail or receivers"
			}
			p.add(fmt.Sprintf("rules[%d].notify[%d]", i, j), "found %q, %s", name, allowed)
		}
	}
}
