// Package pagerduty sends events to PagerDuty by its Events API v2: an incident is triggered
// by its first notification, continues under the same dedup_key, the alert's id, is
// acknowledged where somebody acknowledges the alert here, and is resolved by its last.
//
// An event of PagerDuty is about one alert, so a batch is a request for each incident in it,
// two if the batch has its beginning and its end. The same request again changes nothing
// there.
//
// Under pressure: Notify keeps nothing and sends one request after the other;
// Config.Timeout is that of each, and what is refused holds up no other. PagerDuty
// takes some 120 a minute for a key, and then answers 429.
package pagerduty

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/notify/link"
	"supernats/consumer/notify/post"
	"supernats/consumer/wording"
	"supernats/schema"
	"supernats/schema/secretfile"
)

const (
	defaultURL = "https://events.pagerduty.com/v2/enqueue"
	// maxSummary, in characters, and maxKey are PagerDuty's limits.
	maxSummary = 1024
	maxKey     = 255
	// maxLines of events are some 100 KB; an event may have 512 KB.
	maxLines = 500
	// maxValue bounds other texts of ours, in characters.
	maxValue = 1024
)

// Config is the section pagerduty of a receiver.
type Config struct {
	// RoutingKey is the integration key of a service ("Events API v2");
	// RoutingKeyFile is read at every delivery.
	RoutingKey     secretfile.Secret `yaml:"routing_key"`
	RoutingKeyFile string            `yaml:"routing_key_file"`
	// URL is https://events.eu.pagerduty.com/v2/enqueue for accounts in the EU.
	URL             string `yaml:"url"`
	post.HTTPConfig `yaml:",inline"`
}

// WithDefaults fills in what is not set.
func (c Config) WithDefaults() Config {
	c.HTTPConfig = c.HTTPConfig.WithDefaults()
	c.URL = cmp.Or(c.URL, defaultURL)
	return c
}

var routingKey = regexp.MustCompile(`^[A-Za-z0-9_+-]{8,64}$`)

// Validate reports everything that is wrong, a line for each key.
func (c Config) Validate() error {
	return errors.Join(c.key().Validate(), post.ValidateURL("url", c.URL), c.HTTPConfig.Validate())
}

func checkKey(key, value string) error {
	if !routingKey.MatchString(value) {
		return fmt.Errorf("%s: invalid integration key: want 32 letters and digits", key)
	}
	return nil
}

// key is the integration key.
func (c Config) key() post.Secret {
	return post.Secret{Key: "routing_key", Value: c.RoutingKey, File: c.RoutingKeyFile, Check: checkKey}
}

// event is PagerDuty's, as its manual names the fields.
type event struct {
	RoutingKey  string  `json:"routing_key"`
	EventAction string  `json:"event_action"`
	DedupKey    string  `json:"dedup_key"`
	Client      string  `json:"client,omitempty"`
	ClientURL   string  `json:"client_url,omitempty"`
	Payload     payload `json:"payload"`
	Links       []href  `json:"links,omitempty"`
}

type href struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

type payload struct {
	Summary   string            `json:"summary"`
	Source    string            `json:"source"`
	Severity  string            `json:"severity"`
	Timestamp time.Time         `json:"timestamp"`
	Component string            `json:"component,omitempty"`
	Group     string            `json:"group,omitempty"`
	Class     string            `json:"class,omitempty"`
	Details   map[string]string `json:"custom_details"`
}

const (
	trigger     = "trigger"
	acknowledge = "acknowledge"
	resolve     = "resolve"
)

// New returns the receiver.
func New(name string, c Config, id notify.Identity) (notify.Receiver, error) {
	return post.Posting{
		Name: name, Kind: "pagerduty", Settings: c, HTTP: c.HTTPConfig, Identity: id,
		Address: func() (post.Request, error) {
			key, value, err := c.key().Reveal()
			return post.Request{
				URL: c.URL, URLKey: "url", AuthKey: key, BodyKey: key,
				Secrets: []string{value}, Accepted: accepted,
			}, err
		},
		Parts: func(batch []*notify.Notification) ([]post.Part, error) {
			_, value, err := c.key().Reveal()
			if err != nil {
				return nil, err
			}
			return parts(batch, value, id), nil
		},
	}.Receiver()
}

// accepted: {"status":"success",…}, with 202.
func accepted(a post.Answer) *post.Refusal {
	var answer struct {
		Status, Message string
		Errors          []string
	}
	if err := json.Unmarshal([]byte(a.Text()), &answer); err != nil || answer.Status == "" {
		return &post.Refusal{Want: `{"status":"success"}`}
	}
	if answer.Status == "success" {
		return nil
	}

	why := strings.Join(append([]string{answer.Status, answer.Message}, answer.Errors...), ": ")
	return &post.Refusal{
		Why: strings.ReplaceAll(why, ": : ", ": "), Key: "routing_key",
		// The other one of its words is "throttle exceeded".
		Permanent: strings.HasPrefix(answer.Status, "invalid"),
	}
}

// parts has the requests of each incident.
func parts(batch []*notify.Notification, key string, id notify.Identity) []post.Part {
	var list []post.Part
	for _, i := range notify.Incidents(batch) {
		links := link.OfIncident(id, i)
		e := event{
			RoutingKey: key, EventAction: trigger, DedupKey: dedupKey(i.Alert.Incident),
			Client: "supernats", ClientURL: cmp.Or(links.Incident, id.URL), Payload: payloadOf(i, id),
		}
		for _, l := range links.List() {
			e.Links = append(e.Links, href{l.URL, l.Name})
		}
		part := post.Part{Of: i.Of}

		// What was never triggered cannot be resolved, and nobody would hear of it.
		if i.Fired {
			part.Bodies = append(part.Bodies, e)
		}
		switch i.Type {
		case schema.TypeAlertAcknowledged:
			e.EventAction = acknowledge
			part.Bodies = append(part.Bodies, e)
		case schema.TypeAlertUnacknowledged: // no event takes that back; it stands in the log there
			if !i.Fired {
				part.Bodies = append(part.Bodies, e)
			}
		case schema.TypeAlertResolved:
			e.EventAction = resolve
			part.Bodies = append(part.Bodies, e)
		}
		list = append(list, part)
	}
	return list
}

// payloadOf says what an incident is about.
func payloadOf(i *notify.Incident, id notify.Identity) payload {
	a := i.Alert
	began, _ := i.Times(time.Now())
	p := payload{
		Summary: wording.Clip(i.Summary(), maxSummary-1), Source: wording.Clip(a.Host, maxValue),
		Severity: severity(a.Severity), Timestamp: began,
		Component: wording.Clip(wording.ProcessName(a.Group, a.Process), maxValue),
		Group:     wording.Clip(a.Group, maxValue), Class: wording.Clip(a.Rule, maxValue),
		Details: map[string]string{},
	}

	if p.Source == "" {
		// It may not be empty.
		p.Source = "supernats " + id.Instance
	}

	for name, value := range i.Labels() {
		p.Details[name] = wording.Clip(value, maxValue)
	}
	for name, value := range i.Annotations(maxLines) {
		if name != "description" {
			value = wording.Clip(value, maxValue)
		}
		p.Details[name] = value
	}
	return p
}

// severity is one of the four that PagerDuty allows.
func severity(s string) string {
	switch s = strings.ToLower(s); s {
	case "critical", "error", "warning", "info":
		return s
	case "page", "fatal", "emergency", "alert":
		return "critical"
	case "none", "notice", "debug", "ok":
		return "info"
	}
	return "warning"
}

// dedupKey is the alert's id, or a hash of one that is too long.
func dedupKey(alert string) string {
	if len(alert) <= maxKey {
		return alert
	}
	sum := sha256.Sum256([]byte(alert))
	return hex.EncodeToString(sum[:])
}
