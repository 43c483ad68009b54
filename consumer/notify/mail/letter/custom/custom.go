// Package custom is the templates of a configuration, which take the place of a mail's own
// subject and bodies. A template that fails says so in one line with the key and the place.
package custom

import (
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"regexp"
	"strings"
	texttemplate "text/template"
	"time"

	"supernats/consumer/templating"
	"supernats/consumer/wording"
)

// maxBody is how much one template of the configuration may write, in bytes.
const maxBody = 16 << 20

// functions are those of the templates beside Go's own; they are among those of the templates
// of rules.
var functions = templating.Functions(map[string]any{
	"truncate": func(n int, s string) string { return wording.Clip(s, max(n, 0)) },
	"date":     func(layout string, t time.Time) string { return t.Format(layout) },
	"duration": wording.Rounded,
})

// executor is what text/template and html/template have in common.
type executor interface {
	Execute(w io.Writer, data any) error
}

// Templates are those of a configuration; nil ones are not given.
type Templates struct{ subject, text, html executor }

// Parse compiles the templates that are not empty: subject and text in the language of
// text/template, html in that of html/template. A mistake is an error for each key.
func Parse(subject, text, html string) (*Templates, error) {
	t := &Templates{}
	var errs []error
	parseText := func(key, source string) executor {
		if source == "" {
			return nil
		}
		tmpl, err := texttemplate.New(key).Option("missingkey=error").Funcs(functions).Parse(source)
		if err != nil {
			errs = append(errs, templateError(key, err, ""))
			return nil
		}
		return tmpl
	}

	t.subject = parseText("subject", subject)
	t.text = parseText("text", text)
	if html != "" {
		tmpl, err := htmltemplate.New("html").Option("missingkey=error").Funcs(functions).Parse(html)
		if err != nil {
			errs = append(errs, templateError("html", err, ""))
		} else {
			t.html = tmpl
		}
	}
	return t, errors.Join(errs...)
}

// Sample is what templates are tried on: Data, which has a name for people.
type Sample struct {
	Name string
	Data any
}

// Check runs the templates on all samples, and returns an error for each one that fails.
func (t *Templates) Check(samples []Sample) []error {
	var errs []error
	for _, k := range t.given() {
		for _, s := range samples {
			if _, err := k.run(s.Data); err != nil {
				errs = append(errs, templateError(k.key, err, s.Name))
				break
			}
		}
	}
	return errs
}

// keyedTemplate is the template of one key.
type keyedTemplate struct {
	key      string
	template executor
}

// given are the templates that the configuration has.
func (t *Templates) given() []keyedTemplate {
	var given []keyedTemplate
	for _, k := range []keyedTemplate{{"subject", t.subject}, {"text", t.text}, {"html", t.html}} {
		if k.template != nil {
			given = append(given, k)
		}
	}
	return given
}

// run returns what the template writes.
func (k keyedTemplate) run(data any) (string, error) {
	w := &templating.Limited{Most: maxBody, TooLong: errTooLong}
	if err := k.template.Execute(w, data); err != nil {
		return "", err
	}
	if strings.TrimSpace(w.String()) == "" {
		return "", errors.New("gives an empty " + k.key)
	}
	return w.String(), nil
}

// Content is what the templates write; what none of them does is empty.
type Content struct{ Subject, Text, HTML string }

// Render runs the templates that are given.
func (t *Templates) Render(data any) (c Content, err error) {
	for _, k := range t.given() {
		s, err := k.run(data)
		if err != nil {
			return c, templateError(k.key, err, "")
		}

		switch k.key {
		case "subject":
			c.Subject = strings.Join(strings.Fields(s), " ")
		case "text":
			c.Text = s
		case "html":
			c.HTML = s
		}
	}
	return c, nil
}

var errTooLong = fmt.Errorf("writes more than %d bytes", maxBody)

// position is how the two packages begin an error: with the name of the template, which is
// the key, and where in it.
var position = regexp.MustCompile(`^(?:html/)?template: ?[a-z]+:(\d+)(?::(\d+))?: (?:executing "[a-z]*" at )?`)

// templateError is one line that begins with the key and the position; sample is what the
// template was tried on.
func templateError(key string, err error, sample string) error {
	text := strings.ReplaceAll(err.Error(), "\n", " ")
	where := ""
	if m := position.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		where = "line " + m[1]
		if m[2] != "" {
			where += ", column " + m[2]
		}
		where += ": "
	}

	if strings.Contains(text, "map has no entry for key") {
		text += `; {{index .Labels "key"}} is empty where there is none`
	}
	if strings.Contains(text, "nil pointer evaluating") {
		text += "; {{with }} asks first whether there is one"
	}
	if sample != "" {
		text += " (tried on " + sample + ")"
	}
	return fmt.Errorf("%s: %s%s", key, where, text)
}
