package watchdog

import (
	"context"
	"errors"
	"fmt"
	neturl "net/url"
	"strings"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/notify/post"
	"supernats/schema"
	"supernats/schema/secretfile"
)

// Defaults and limits of the settings.
const (
	DefaultEvery = time.Minute
	minEvery     = time.Second
)

// Settings are one entry of the section `watchdog` of the configuration.
type Settings struct {
	Name string `yaml:"name"`
	// URL is a secret; URLFile is read at every ping.
	URL     secretfile.Secret `yaml:"url"`
	URLFile string            `yaml:"url_file"`
	// Every is how often it is pinged.
	Every           schema.Duration `yaml:"every"`
	post.HTTPConfig `yaml:",inline"`
}

// WithDefaults fills in what is not set.
func (s Settings) WithDefaults() Settings {
	s.HTTPConfig = s.HTTPConfig.WithDefaults()
	if s.Every == 0 {
		s.Every = schema.Duration(DefaultEvery)
	}
	return s
}

// Validate reports everything that is wrong, a line for each key.
func (s Settings) Validate() error {
	var wrong []error
	if s.Name == "" {
		wrong = append(wrong, errors.New("name: missing; a watchdog needs a name, for example healthchecks"))
	}
	switch {
	case (s.URL == "") == (s.URLFile == ""):
		wrong = append(wrong, errors.New("want either url or url_file"))
	case s.URL != "":
		wrong = append(wrong, post.ValidateURL("url", string(s.URL)))
	}
	if time.Duration(s.Every) < minEvery {
		wrong = append(wrong, fmt.Errorf("every: invalid value %v: want %s or more", s.Every, minEvery))
	}
	return errors.Join(append(wrong, s.HTTPConfig.Validate())...)
}

// message is what a ping says.
type message struct {
	Status   string `json:"status"`
	Instance string `json:"instance"`
	Reason   string `json:"reason,omitempty"`
}

// address is a Target: an address that is posted to.
type address struct {
	settings Settings
	id       notify.Identity
}

// Target returns the target of valid settings.
func (s Settings) Target(id notify.Identity) Target { return &address{settings: s, id: id} }

// Ping implements Target.
func (a *address) Ping(ctx context.Context, v Verdict) error {
	url, err := a.settings.URL.Reveal("url", a.settings.URLFile)
	if err != nil {
		return err
	}
	body := message{Status: "ok", Instance: a.id.Instance}
	if v.Reason != "" {
		body.Status, body.Reason = "fail", v.Reason
		if url, err = failAddress(url); err != nil {
			return err
		}
	}

	p, err := post.NewPoster("its server", a.settings.HTTPConfig, a.id)
	if err != nil {
		return err
	}
	defer p.Close()
	key := "url"
	if a.settings.URLFile != "" {
		key = "url_file"
	}
	return p.Do(ctx, post.Request{URL: url, URLKey: key, Body: body, Accepted: accepted})
}

// accepted knows the answers 200 by which hc-ping.com has not taken a ping: "OK
// (rate-limited)" is of the hosted service alone, as its author says in healthchecks'
// discussion "Rate limit in the ping API?", and clients report "OK (not found)". What people
// host themselves answers 404 (hc/api/views.py ping).
func accepted(answer post.Answer) *post.Refusal {
	if text := answer.Text(); strings.HasPrefix(text, "OK (") {
		return &post.Refusal{Why: text}
	}
	return nil
}

// failAddress is the address to which a failure is reported.
func failAddress(address string) (string, error) {
	u, err := neturl.Parse(address)
	if err != nil {
		return "", errors.New("url: not a URL") // the error would quote the secret
	}
	return u.JoinPath("fail").String(), nil
}
