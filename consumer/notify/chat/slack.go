package chat

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"supernats/consumer/notify"
	"supernats/consumer/notify/post"
	"supernats/schema/secretfile"
)

const (
	// maxSlack is where Slack cuts a text off. The default is what Slack advises,
	// and what Rocket.Chat (5,000) and Mattermost (16,383) take too.
	maxSlack     = 40_000
	defaultSlack = 4000
)

// SlackConfig is the section slack of a receiver: an incoming webhook of Slack,
// Mattermost or Rocket.Chat.
type SlackConfig struct {
	// URL is a secret; URLFile is read at every delivery.
	URL     secretfile.Secret `yaml:"url"`
	URLFile string            `yaml:"url_file"`
	// Channel and Username are for Mattermost, Rocket.Chat and old webhooks of
	// Slack, where they replace those of the webhook.
	Channel  string `yaml:"channel"`
	Username string `yaml:"username"`
	// MaxLength is how long a message may be, in characters.
	MaxLength       int `yaml:"max_length"`
	post.HTTPConfig `yaml:",inline"`
}

// WithDefaults fills in what is not set.
func (c SlackConfig) WithDefaults() SlackConfig {
	c.HTTPConfig = c.HTTPConfig.WithDefaults()
	c.MaxLength = cmp.Or(c.MaxLength, defaultSlack)
	return c
}

// Validate reports everything that is wrong, a line for each key.
func (c SlackConfig) Validate() error {
	errs := []error{
		post.SecretURL(c.URL, c.URLFile).Validate(),
		singleLine("channel", c.Channel), singleLine("username", c.Username),
	}
	// Below, a single line could be too long.
	if c.MaxLength < defaultSlack || c.MaxLength > maxSlack {
		errs = append(errs, fmt.Errorf(
			"max_length: invalid value %d: want %d to %d", c.MaxLength, defaultSlack, maxSlack))
	}
	return errors.Join(append(errs, c.HTTPConfig.Validate())...)
}

type slackMessage struct {
	Text     string `json:"text"`
	Channel  string `json:"channel,omitempty"`
	Username string `json:"username,omitempty"`
	// Names of processes that look like links shall not be fetched.
	UnfurlLinks bool `json:"unfurl_links"`
	UnfurlMedia bool `json:"unfurl_media"`
}

// NewSlack returns a receiver that posts to an incoming webhook.
func NewSlack(name string, c SlackConfig, id notify.Identity) (notify.Receiver, error) {
	// There is no escape for markup but these three, which Mattermost and Rocket.Chat know
	// too; in code nothing is markup.
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
	code := func(s string) string { return "`" + strings.ReplaceAll(escape(s), "`", "'") + "`" }
	d := dialect{
		strong: asIs, name: code, text: codeIf("*_~`@#[]|<>&", escape, code),
		link: func(name, address string) string { return "<" + escape(address) + "|" + name + ">" },
		most: 4, size: units, max: c.MaxLength,
	}

	return post.Posting{
		Name: name, Kind: "slack", Settings: c, HTTP: c.HTTPConfig, Identity: id,
		Address: func() (post.Request, error) { return hook(post.SecretURL(c.URL, c.URLFile), slackAccepted) },
		Body: func(batch []*notify.Notification) any {
			return slackMessage{Text: d.write(batch, id), Channel: c.Channel, Username: c.Username}
		},
	}.Receiver()
}
