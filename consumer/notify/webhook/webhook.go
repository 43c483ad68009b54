// Package webhook posts notifications in the JSON of Alertmanager's webhooks,
// version 4, which many programs read.
//
// A batch is one request with an alert for each incident in it; what the last of
// its notifications says holds. The events that matched are in the annotation
// description, all of them, a line for each; incident_url, ack_url and silence_url are its
// links, and generatorURL is its page. The group is what was posted
// together: its labels are those that all its alerts share. A reader that takes
// groupKey for the name of an incident needs per_incident: then every incident is
// a group, and a request, of its own.
//
// Any answer 2xx is a success, but for a page of HTML that asks for a login: that is the
// answer of a proxy before the reader.
//
// Under pressure: Notify keeps nothing and waits for each answer, Config.Timeout
// long. An event is some 100 bytes of the request: a notification with the most
// that one may have, 500, makes 50 KB.
package webhook

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/notify/link"
	"supernats/consumer/notify/post"
	"supernats/schema/secretfile"
)

// Config is the section webhook of a receiver.
type Config struct {
	// URL is a secret, since many have a token in it; URLFile is read at every
	// delivery.
	URL     secretfile.Secret `yaml:"url"`
	URLFile string            `yaml:"url_file"`
	// MaxAlerts is how many alerts one request may have; the rest is counted in
	// truncatedAlerts, and lost to the reader. 0 is no limit.
	MaxAlerts int `yaml:"max_alerts"`
	// PerIncident makes one request for each incident.
	PerIncident     bool `yaml:"per_incident"`
	post.AuthConfig `yaml:",inline"`
	post.HTTPConfig `yaml:",inline"`
}

// WithDefaults fills in what is not set.
func (c Config) WithDefaults() Config {
	c.HTTPConfig = c.HTTPConfig.WithDefaults()
	return c
}

// Validate reports everything that is wrong, a line for each key.
func (c Config) Validate() error {
	errs := []error{post.SecretURL(c.URL, c.URLFile).Validate()}
	if c.MaxAlerts < 0 {
		errs = append(errs, fmt.Errorf(
			"max_alerts: invalid value %d: want a number above zero, or 0 for no limit", c.MaxAlerts))
	}
	return errors.Join(append(errs, c.AuthConfig.Validate(), c.HTTPConfig.Validate())...)
}

// Message is the JSON, in the order of Alertmanager's fields.
type Message struct {
	Receiver          string            `json:"receiver"`
	Status            string            `json:"status"`
	Alerts            []Alert           `json:"alerts"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	TruncatedAlerts   uint64            `json:"truncatedAlerts"`
}

// Alert is one of a Message.
type Alert struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	// EndsAt is the zero time while the alert is open.
	EndsAt       time.Time `json:"endsAt"`
	GeneratorURL string    `json:"generatorURL"`
	Fingerprint  string    `json:"fingerprint"`
}

const (
	statusFiring   = "firing"
	statusResolved = "resolved"
)

// New returns the receiver.
func New(name string, c Config, id notify.Identity) (notify.Receiver, error) {
	p := post.Posting{
		Name: name, Kind: "webhook", Settings: c, HTTP: c.HTTPConfig, Identity: id,
		Address: c.address,
		Body: func(batch []*notify.Notification) any {
			return message(name, notify.Incidents(batch), c.MaxAlerts, id)
		},
	}
	if c.PerIncident {
		p.Parts = func(batch []*notify.Notification) ([]post.Part, error) {
			var parts []post.Part
			for _, i := range notify.Incidents(batch) {
				body := message(name, []*notify.Incident{i}, 0, id)
				parts = append(parts, post.Part{Of: i.Of, Bodies: []any{body}})
			}
			return parts, nil
		}
	}
	return p.Receiver()
}

// address is the request, without a body.
func (c Config) address() (post.Request, error) {
	key, url, err := post.SecretURL(c.URL, c.URLFile).Reveal()
	p := post.Request{URL: url, URLKey: key, BodyKey: "url (does it read webhooks of Alertmanager?)"}
	if err == nil {
		err = c.Apply(&p)
	}
	return p, err
}

// message is the JSON about some incidents, of which it shows no more than limit, 0 for all.
func message(receiver string, incidents []*notify.Incident, limit int, id notify.Identity) Message {
	m := Message{
		Receiver: receiver, Status: statusResolved, ExternalURL: id.URL, Version: "4",
		Alerts: make([]Alert, 0, len(incidents)),
	}
	for _, i := range incidents {
		m.Alerts = append(m.Alerts, alert(i, id))
	}

	// What all of them share counts those that are not shown too.
	for i := range m.Alerts {
		a := &m.Alerts[i]
		if a.Status == statusFiring {
			m.Status = statusFiring
		}
		m.CommonLabels = common(m.CommonLabels, a.Labels, i == 0)
		m.CommonAnnotations = common(m.CommonAnnotations, a.Annotations, i == 0)
	}

	m.GroupLabels = map[string]string{}
	for _, name := range []string{"alertname", "host", "group", "process"} {
		if value, ok := m.CommonLabels[name]; ok {
			m.GroupLabels[name] = value
		}
	}
	m.GroupKey = groupKey(receiver, m.GroupLabels)

	if limit > 0 && len(m.Alerts) > limit {
		m.TruncatedAlerts = uint64(len(m.Alerts) - limit)
		m.Alerts = m.Alerts[:limit]
	}
	return m
}

func alert(i *notify.Incident, id notify.Identity) Alert {
	labels := i.Labels()
	began, over := i.Times(time.Now())
	links := link.OfIncident(id, i)
	a := Alert{
		Status: statusFiring, Labels: labels, Annotations: i.Annotations(0), StartsAt: began,
		GeneratorURL: cmp.Or(links.Incident, id.URL), Fingerprint: fingerprint(labels),
	}
	links.Annotate(a.Annotations)
	if i.IsResolved() {
		a.Status, a.EndsAt = statusResolved, over
	}
	return a
}

// common is what all alerts share: what those before share, if next has it too.
func common(before, next map[string]string, first bool) map[string]string {
	if first {
		return maps.Clone(next)
	}
	maps.DeleteFunc(before, func(name, value string) bool { return next[name] != value })
	return before
}

// groupKey is written like Alertmanager's, {route}:{labels}.
func groupKey(receiver string, labels map[string]string) string {
	pairs := make([]string, 0, len(labels))
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, name+"="+strconv.Quote(labels[name]))
	}
	return "{}/{receiver=" + strconv.Quote(receiver) + "}:{" + strings.Join(pairs, ", ") + "}"
}

// fingerprint is Alertmanager's of the same labels (prometheus/common/model,
// LabelSet.Fingerprint), so that both name an alert alike.
func fingerprint(labels map[string]string) string {
	const separator = "\xff"
	h := fnv.New64a()
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		_, _ = h.Write([]byte(name + separator + labels[name] + separator))
	}
	return fmt.Sprintf("%016x", binary.BigEndian.Uint64(h.Sum(nil)))
}
