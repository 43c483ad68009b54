package chat

import (
	"errors"
	neturl "net/url"
	"strings"

	"supernats/consumer/notify"
	"supernats/consumer/notify/post"
	"supernats/schema/secretfile"
)

// maxDiscord is Discord's limit of a message, in characters.
const maxDiscord = 2000

// suppressEmbeds is the flag of a message without previews of links.
const suppressEmbeds = 1 << 2

// DiscordConfig is the section discord of a receiver.
type DiscordConfig struct {
	// URL is a secret; URLFile is read at every delivery. A thread is chosen by
	// ?thread_id= in it.
	URL     secretfile.Secret `yaml:"url"`
	URLFile string            `yaml:"url_file"`
	// Username replaces the webhook's.
	Username        string `yaml:"username"`
	post.HTTPConfig `yaml:",inline"`
}

// WithDefaults fills in what is not set.
func (c DiscordConfig) WithDefaults() DiscordConfig {
	c.HTTPConfig = c.HTTPConfig.WithDefaults()
	return c
}

// Validate reports everything that is wrong, a line for each key.
func (c DiscordConfig) Validate() error {
	return errors.Join(
		post.SecretURL(c.URL, c.URLFile).Validate(), singleLine("username", c.Username), c.HTTPConfig.Validate())
}

type discordMessage struct {
	Content  string `json:"content"`
	Username string `json:"username,omitempty"`
	Flags    int    `json:"flags"`
	// AllowedMentions is there and empty, so that a process called @everyone wakes nobody.
	AllowedMentions struct {
		Parse []string `json:"parse"`
	} `json:"allowed_mentions"`
}

// NewDiscord returns a receiver that posts to a webhook of Discord.
func NewDiscord(name string, c DiscordConfig, id notify.Identity) (notify.Receiver, error) {
	d := dialect{
		strong: func(s string) string { return "**" + s + "**" }, name: discordEscape, text: discordEscape,
		link: func(name, address string) string { return "[" + name + "](<" + address + ">)" },
		most: 4, size: units, max: maxDiscord,
	}

	return post.Posting{
		Name: name, Kind: "discord", Settings: c, HTTP: c.HTTPConfig, Identity: id,
		Address: func() (post.Request, error) {
			p, err := hook(post.SecretURL(c.URL, c.URLFile), discordAccepted)
			if err == nil {
				p.URL, err = askToWait(p.URL)
			}
			return p, err
		},
		Body: func(batch []*notify.Notification) any {
			m := discordMessage{Content: d.write(batch, id), Username: c.Username, Flags: suppressEmbeds}
			m.AllowedMentions.Parse = []string{}
			return m
		},
	}.Receiver()
}

// askToWait asks for an answer when the message is stored: without wait=true Discord answers
// with success to what it then drops.
func askToWait(raw string) (string, error) {
	u, err := neturl.Parse(raw)
	if err != nil {
		return "", post.ValidateURL("url", raw)
	}
	q := u.Query()
	q.Set("wait", "true")
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// discordEscape puts a backslash before what is Markdown, a mention or a link.
func discordEscape(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune("\\*_~`|>#[]<@:", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
