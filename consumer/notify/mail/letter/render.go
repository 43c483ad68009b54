package letter

import (
	"cmp"
	"embed"
	"fmt"
	htmltemplate "html/template"
	"io"
	"strings"
	texttemplate "text/template"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/notify/mail/letter/custom"
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

// render writes it, by the templates of the configuration where there are any. A template
// that goes wrong on these alerts must not keep them from being reported: supernats' own
// words stand in for it, and the mistake is shown among them.
func render(
	batch []*notify.Notification, own *custom.Templates, from notify.Identity, now time.Time,
) (custom.Content, error) {
	r := newReport(summary.Fold(batch))
	d := newData(r, from, now)

	c, mistake := own.Render(d)
	if mistake != nil {
		c = custom.Content{}
	}
	c.Subject = cmp.Or(wording.Clip(c.Subject, maxSubject), d.Subject)
	if c.Text != "" && c.HTML != "" {
		return c, nil
	}

	v := newView(r, d)
	if mistake != nil {
		v.addRow("Template", wording.Clip(mistake.Error(), maxMistake))
	}
	var err error
	if c.Text == "" {
		if c.Text, err = execute(textBody, v); err != nil {
			return custom.Content{}, fmt.Errorf("write text: %w", err)
		}
	}
	if c.HTML == "" {
		if c.HTML, err = execute(htmlBody, v); err != nil {
			return custom.Content{}, fmt.Errorf("write html: %w", err)
		}
	}
	return c, nil
}

// executor is what text/template and html/template have in common.
type executor interface {
	Execute(w io.Writer, data any) error
}

// execute returns what a template of our own writes.
func execute(t executor, v *view) (string, error) {
	var b strings.Builder
	err := t.Execute(&b, v)
	return b.String(), err
}
