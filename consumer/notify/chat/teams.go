package chat

import (
	"encoding/json"
	"errors"

	"supernats/consumer/notify"
	"supernats/schema/secretfile"
)

// maxTeams is Microsoft's limit of a message, in bytes of JSON, less what is
// around the lines.
const maxTeams = 28<<10 - 1024

// TeamsConfig is the section teams of a receiver: a webhook of a workflow ("Post
// to a channel when a webhook request is received"). The connectors of Office 365
// are gone, and so are their cards.
type TeamsConfig struct {
	// URL is a secret; URLFile is read at every delivery.
	URL               secretfile.Secret `yaml:"url"`
	URLFile           string            `yaml:"url_file"`
	notify.HTTPConfig `yaml:",inline"`
}

// WithDefaults fills in what is not set.
func (c TeamsConfig) WithDefaults() TeamsConfig {
	c.HTTPConfig = c.HTTPConfig.WithDefaults()
	return c
}

// Validate reports everything that is wrong, a line for each key.
func (c TeamsConfig) Validate() error {
	return errors.Join(notify.SecretURL(c.URL, c.URLFile).Validate(), c.HTTPConfig.Validate())
}

type teamsMessage struct {
	Type        string            `json:"type"`
	Attachments []teamsAttachment `json:"attachments"`
}

type teamsAttachment struct {
	ContentType string       `json:"contentType"`
	ContentURL  *string      `json:"contentUrl"`
	Content     adaptiveCard `json:"content"`
}

type adaptiveCard struct {
	Schema  string      `json:"$schema"`
	Type    string      `json:"type"`
	Version string      `json:"version"`
	MSTeams cardOptions `json:"msteams"`
	Body    []richText  `json:"body"`
	// FallbackText is what a program shows that knows no cards.
	FallbackText string `json:"fallbackText"`
}

type cardOptions struct {
	Width string `json:"width"`
}

// richText is a paragraph whose texts are no Markdown, unlike a TextBlock's.
type richText struct {
	Type    string    `json:"type"`
	Spacing string    `json:"spacing,omitempty"`
	Inlines []textRun `json:"inlines"`
}

type textRun struct {
	Type   string `json:"type"`
	Text   string `json:"text"`
	Weight string `json:"weight,omitempty"`
	Color  string `json:"color,omitempty"`
}

// statusColors are names of Adaptive Cards.
var statusColors = map[string]string{
	"FIRING": "attention", "UPDATE": "warning", "RESOLVED": "good",
	"ACKNOWLEDGED": "accent", "UNACKNOWLEDGED": "warning",
}

// NewTeams returns a receiver that posts an Adaptive Card to a workflow.
func NewTeams(name string, c TeamsConfig, id notify.Identity) (notify.Receiver, error) {
	return notify.Posting{
		Name: name, Kind: "teams", Settings: c, HTTP: c.HTTPConfig, Identity: id,
		Address: func() (notify.Post, error) { return hook(notify.SecretURL(c.URL, c.URLFile), teamsAccepted) },
		Body: func(batch []*notify.Notification) any {
			return card(batch)
		},
	}.Receiver()
}

// card has a paragraph for each notification.
func card(batch []*notify.Notification) teamsMessage {
	body, sizes := make([]richText, len(batch)), make([]int, len(batch))
	for i, n := range batch {
		l := notify.LineOf(n)
		status := textRun{Type: "TextRun", Text: l.Status, Weight: "bolder", Color: statusColors[l.Status]}
		l.Status = ""
		body[i] = paragraph(status, textRun{Type: "TextRun", Text: " " + l.String()})
		sizes[i] = jsonSize(body[i]) + 1
	}

	last := paragraph(textRun{Type: "TextRun", Text: moreLine(len(batch))})
	if n := fitting(sizes, jsonSize(last)+1, maxTeams); n < len(body) {
		last.Inlines[0].Text = moreLine(len(batch) - n)
		body = append(body[:n:n], last)
	}

	return teamsMessage{Type: "message", Attachments: []teamsAttachment{{
		ContentType: "application/vnd.microsoft.card.adaptive",
		Content: adaptiveCard{
			Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4",
			MSTeams: cardOptions{Width: "Full"}, Body: body, FallbackText: title(batch),
		},
	}}}
}

func paragraph(runs ...textRun) richText {
	return richText{Type: "RichTextBlock", Spacing: "small", Inlines: runs}
}

// jsonSize is never less than what goes out: the encoder here escapes more.
func jsonSize(v any) int {
	b, err := json.Marshal(v)
	if err != nil {
		return 0 // not with texts alone
	}
	return len(b)
}
