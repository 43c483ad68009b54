package letter

import (
	"embed"
	"fmt"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/wording"
	"supernats/schema"
)

//go:embed text.tmpl html.tmpl
var builtIn embed.FS

var (
	textBody = texttemplate.Must(texttemplate.New("text.tmpl").Option("missingkey=error").ParseFS(builtIn, "text.tmpl"))
	htmlBody = htmltemplate.Must(htmltemplate.New("html.tmpl").Option("missingkey=error").ParseFS(builtIn, "html.tmpl"))
)

// content is what a mail says.
type content struct{ subject, text, html string }

// render writes it, by the templates of the configuration where there are any.
// A template that goes wrong on these alerts must not keep them from being told:
// supernats' own words stand in for it, and the mistake is shown among them.
func render(batch []*schema.CloudEvent[*schema.Notification], own *Templates, from notify.Identity, now time.Time) (content, error) {
	batch = fold(batch)
	d := newData(batch, from, now)
	c, err := own.render(d)
	if err != nil {
		c = content{}
	}
	if c.subject == "" {
		c.subject = d.Subject
	}
	if c.text != "" && c.html != "" {
		return c, nil
	}
	v := newView(batch, d)
	if err != nil {
		v.row("Template", wording.Clip(err.Error(), maxSentence))
	}
	if c.text == "" {
		var b strings.Builder
		if err := textBody.Execute(&b, v); err != nil {
			return content{}, fmt.Errorf("write text: %w", err)
		}
		c.text = b.String()
	}
	if c.html == "" {
		var b strings.Builder
		if err := htmlBody.Execute(&b, v); err != nil {
			return content{}, fmt.Errorf("write html: %w", err)
		}
		c.html = b.String()
	}
	return c, nil
}
