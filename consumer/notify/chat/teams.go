package chat

import (
	"encoding/json"
	"errors"
	"slices"

	"supernats/consumer/notify"
	"supernats/consumer/notify/link"
	"supernats/consumer/notify/post"
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
	URL             secretfile.Secret `yaml:"url"`
	URLFile         string            `yaml:"url_file"`
	post.HTTPConfig `yaml:",inline"`
}

// WithDefaults fills in what is not set.
func (c TeamsConfig) WithDefaults() TeamsConfig {
	c.HTTPConfig = c.HTTPConfig.WithDefaults()
	return c
}

// Validate reports everything that is wrong, a line for each key.
func (c TeamsConfig) Validate() error {
	return errors.Join(post.SecretURL(c.URL, c.URLFile).Validate(), c.HTTPConfig.Validate())
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
	// Actions are buttons.
	Actions []openURL `json:"actions,omitempty"`
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
	// SelectAction makes a link of it.
	SelectAction *openURL `json:"selectAction,omitempty"`
}

// openURL is Adaptive Cards' Action.OpenUrl.
type openURL struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

// statusColors are names of Adaptive Cards.
var statusColors = map[string]string{
	"FIRING": "attention", "UPDATE": "warning", "RESOLVED": "good",
	"ACKNOWLEDGED": "accent", "UNACKNOWLEDGED": "warning",
}

// NewTeams returns a receiver that posts an Adaptive Card to a workflow.
func NewTeams(name string, c TeamsConfig, id notify.Identity) (notify.Receiver, error) {
	return post.Posting{
		Name: name, Kind: "teams", Settings: c, HTTP: c.HTTPConfig, Identity: id,
		Address: func() (post.Request, error) { return hook(post.SecretURL(c.URL, c.URLFile), teamsAccepted) },
		Body: func(batch []*notify.Notification) any {
			return card(batch, id)
		},
	}.Receiver()
}

// card has a paragraph for each notification. The links of one incident are buttons; of
// several, each paragraph ends with its own, if there is room for that.
func card(batch []*notify.Notification, from notify.Identity) teamsMessage {
	body := make([]richText, len(batch))
	for i, n := range batch {
		l := notify.LineOf(n)
		status := textRun{Type: "TextRun", Text: l.Status, Weight: "bolder", Color: statusColors[l.Status]}
		l.Status = ""
		body[i] = paragraph(status, textRun{Type: "TextRun", Text: " " + l.String()})
	}

	links, isOne := link.OfOneIncident(from, batch)
	actions, max := buttons(links.List()), maxTeams
	if all := link.Alerts(from); !isOne && all != "" {
		actions = buttons([]link.Link{{Name: allAlerts, URL: all}})
	}
	if max -= jsonSize(actions); !isOne {
		linked := withLinks(body, link.OfEach(from, batch))
		if jsonSize(linked) <= max {
			body = linked
		}
	}
	body = cut(body, max)

	return teamsMessage{Type: "message", Attachments: []teamsAttachment{{
		ContentType: "application/vnd.microsoft.card.adaptive",
		Content: adaptiveCard{
			Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4",
			MSTeams: cardOptions{Width: "Full"}, Body: body, Actions: actions,
			FallbackText: title(batch),
		},
	}}}
}

// cut counts in a last paragraph what does not fit.
func cut(body []richText, max int) []richText {
	sizes := make([]int, len(body))
	for i := range body {
		sizes[i] = jsonSize(body[i]) + 1
	}

	last := paragraph(textRun{Type: "TextRun", Text: moreLine(len(body))})
	if n := fitting(sizes, jsonSize(last)+1, max); n < len(body) {
		last.Inlines[0].Text = moreLine(len(body) - n)
		body = append(body[:n:n], last)
	}
	return body
}

// withLinks ends each paragraph with the first of its links.
func withLinks(body []richText, links []link.Links) []richText {
	linked := slices.Clone(body)
	for i := range linked {
		for _, open := range buttons(firstLinks(links[i], 1)) {
			between := textRun{Type: "TextRun", Text: betweenLinks}
			name := textRun{Type: "TextRun", Text: open.Title, SelectAction: &open}
			linked[i] = paragraph(slices.Concat(body[i].Inlines, []textRun{between, name})...)
		}
	}
	return linked
}

func buttons(links []link.Link) []openURL {
	var list []openURL
	for _, l := range links {
		list = append(list, openURL{Type: "Action.OpenUrl", Title: l.Name, URL: l.URL})
	}
	return list
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
