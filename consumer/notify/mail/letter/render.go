package letter

import (
	"embed"
	"fmt"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/notify/mail/summary"
	"supernats/consumer/wording"
)

//go:embed text.tmpl html.tmpl
var builtIn embed.FS

var (
	textBody = texttemplate.Must(texttemplate.New("text.tmpl").
			Option("missingkey=error").ParseFS(builtIn, "text.tmpl"))
	htmlBody = htmltemplate.Must(htmltemplate.New("html.tmpl").
			Option("missingkey=error").ParseFS(builtIn, "html.tmpl"))
)

// content is what a mail says.
type content struct{ subject, text, html string }

// render writes it, by the templates of the configuration where there are any. A template
// that goes wrong on these alerts must not keep them from being reported: supernats' own
// words stand in for it, and the mistake is shown among them.
func render(
	batch []*notify.Notification, own *Templates, from notify.Identity, now time.Time,
) (content, error) {
	r := newReport(summary.Fold(batch))
	d := newData(r, from, now)

	c, mistake := own.render(d)
	if mistake != nil {
		c = content{}
	}
	if c.subject == "" {
		c.subject = d.Subject
	}
	if c.text != "" && c.html != "" {
		return c, nil
	}

	v := newView(r, d)
	if mistake != nil {
		v.addRow("Template", wording.Clip(mistake.Error(), maxMistake))
	}
	var err error
	if c.text == "" {
		if c.text, err = execute(textBody, v); err != nil {
			return content{}, fmt.Errorf("write text: %w", err)
		}
	}
	if c.html == "" {
		if c.html, err = execute(htmlBody, v); err != nil {
			return content{}, fmt.Errorf("write html: %w", err)
		}
	}
	return c, nil
}

func execute(t executor, v *view) (string, error) {
	var b strings.Builder
	err := t.Execute(&b, v)
	return b.String(), err
}
