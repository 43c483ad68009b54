package chat

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"

	"supernats/consumer/notify"
	"supernats/consumer/notify/link"
	"supernats/consumer/notify/post"
	"supernats/consumer/wording"
	"supernats/schema"
	"supernats/schema/secretfile"
)

const (
	// maxNtfy is from which size on, in bytes, ntfy makes an attachment of a
	// message.
	maxNtfy     = 4096
	defaultNtfy = "https://ntfy.sh"
)

// NtfyConfig is the section ntfy of a receiver.
type NtfyConfig struct {
	// URL is the server's, without the topic.
	URL   string `yaml:"url"`
	Topic string `yaml:"topic"`
	// Token is an access token, BasicAuth the other way to log in. The files are
	// read at every delivery.
	Token     secretfile.Secret `yaml:"token"`
	TokenFile string            `yaml:"token_file"`
	BasicAuth post.BasicAuth    `yaml:"basic_auth"`
	// Priority is 1 to 5; 0 goes by the severity: critical 5, warning and others 4,
	// info 3, and 3 if all is resolved.
	Priority        int `yaml:"priority"`
	post.HTTPConfig `yaml:",inline"`
}

// WithDefaults fills in what is not set.
func (c NtfyConfig) WithDefaults() NtfyConfig {
	c.HTTPConfig = c.HTTPConfig.WithDefaults()
	c.URL = cmp.Or(c.URL, defaultNtfy)
	return c
}

var ntfyTopic = regexp.MustCompile(`^[-_A-Za-z0-9]{1,64}$`)

// Validate reports everything that is wrong, a line for each key.
func (c NtfyConfig) Validate() error {
	errs := []error{post.ValidateURL("url", c.URL)}
	if !ntfyTopic.MatchString(c.Topic) {
		errs = append(errs, fmt.Errorf(
			"topic: invalid value %q: want up to 64 letters, digits, _ and -", wording.Clip(c.Topic, 80)))
	}
	if c.hasToken() {
		errs = append(errs, c.token().Validate())
	}
	if c.BasicAuth.Username != "" && c.hasToken() {
		errs = append(errs, errors.New("token: given together with basic_auth: want one of the two"))
	}
	if c.Priority < 0 || c.Priority > 5 {
		errs = append(errs, fmt.Errorf(
			"priority: invalid value %d: want 1 to 5, or 0 for what the severity says", c.Priority))
	}
	return errors.Join(append(errs, post.AuthConfig{BasicAuth: c.BasicAuth}.Validate(), c.HTTPConfig.Validate())...)
}

type ntfyMessage struct {
	Topic    string `json:"topic"`
	Title    string `json:"title"`
	Message  string `json:"message"`
	Priority int    `json:"priority"`
	// Click is what a tap on the notification opens, Actions are its buttons.
	Click   string       `json:"click,omitempty"`
	Actions []ntfyAction `json:"actions,omitempty"`
}

// ntfyAction is a button, of which ntfy takes three.
type ntfyAction struct {
	Action string `json:"action"`
	Label  string `json:"label"`
	URL    string `json:"url"`
}

// NewNtfy returns a receiver that publishes to a topic of an ntfy server.
func NewNtfy(name string, c NtfyConfig, id notify.Identity) (notify.Receiver, error) {
	d := dialect{
		strong: asIs, name: asIs, text: asIs, link: func(_, address string) string { return address },
		most: 1, size: func(s string) int { return len(s) }, max: maxNtfy,
	}
	return post.Posting{
		Name: name, Kind: "ntfy", Settings: c, HTTP: c.HTTPConfig, Identity: id,
		Address: c.address,
		Body: func(batch []*notify.Notification) any {
			m := ntfyMessage{Topic: c.Topic, Title: title(batch), Priority: c.priority(batch)}
			m.addText(d, batch, id)
			return m
		},
	}.Receiver()
}

// addText adds what happened. One incident is what a tap opens, and its other links are
// buttons; of several, each line ends with the address of its own.
func (m *ntfyMessage) addText(d dialect, batch []*notify.Notification, from notify.Identity) {
	links, ok := link.OfOneIncident(from, batch)
	if !ok {
		m.Message, m.Click = d.write(batch, from), link.Alerts(from)
		return
	}

	m.Message, m.Click = d.writeWith(batch, nil, ""), links.Incident
	links.Incident = ""
	for _, l := range links.List() {
		m.Actions = append(m.Actions, ntfyAction{Action: "view", Label: l.Name, URL: l.URL})
	}
}

// address is the request to the server, without a body.
func (c NtfyConfig) address() (post.Request, error) {
	p := post.Request{URL: c.URL, URLKey: "url", BodyKey: "topic and url", Accepted: ntfyAccepted}
	err := post.AuthConfig{BasicAuth: c.BasicAuth}.Apply(&p)
	p.AuthKey = "token_file or basic_auth, and topic"
	if !c.hasToken() {
		return p, err
	}

	_, token, err := c.token().Reveal()
	p.SetBearer(token)
	return p, err
}

func (c NtfyConfig) hasToken() bool { return c.Token != "" || c.TokenFile != "" }

func (c NtfyConfig) token() post.Secret {
	return post.Secret{Key: "token", Value: c.Token, File: c.TokenFile}
}

// title is what a locked screen shows.
func title(batch []*notify.Notification) string {
	l := notify.LineOf(batch[0])
	first := notify.Line{Status: l.Status, Host: l.Host, Process: l.Process}.String()
	if len(batch) > 1 {
		return fmt.Sprintf("%s (and %d more)", first, len(batch)-1)
	}
	return first
}

// priority is that of the worst notification.
func (c NtfyConfig) priority(batch []*notify.Notification) int {
	if c.Priority != 0 {
		return c.Priority
	}
	highest := 3
	for _, n := range batch {
		switch {
		case n.Type == schema.TypeAlertResolved, n.Type == schema.TypeAlertAcknowledged, n.Data.Severity == "info":
		case n.Data.Severity == "critical":
			return 5
		default:
			highest = 4
		}
	}
	return highest
}
