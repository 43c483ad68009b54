package letter

import (
	"cmp"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"reflect"
	"regexp"
	"strings"
	texttemplate "text/template"
	"time"

	"supernats/consumer/wording"
	"supernats/schema"
)

// maxBody is how much one template of the configuration may write, in bytes.
const maxBody = 16 << 20

// functions are those of the templates beside Go's own; they are among those of the templates
// of rules. None reads files, variables or the network: what a mail shows, everybody sees.
var functions = map[string]any{
	"upper":    strings.ToUpper,
	"lower":    strings.ToLower,
	"trim":     strings.TrimSpace,
	"join":     func(sep string, list []string) string { return strings.Join(list, sep) },
	"replace":  func(from, to, s string) string { return strings.ReplaceAll(s, from, to) },
	"default":  func(other, s string) string { return cmp.Or(s, other) },
	"truncate": func(n int, s string) string { return wording.Clip(s, max(n, 0)) },
	"date":     func(layout string, t time.Time) string { return t.Format(layout) },
	"duration": wording.Rounded,
	"bytes":    bytesText,
}

// executor is what text/template and html/template have in common.
type executor interface {
	Execute(w io.Writer, data any) error
}

// bytesText writes a number of bytes: "2.0 GiB".
func bytesText(n any) (string, error) {
	switch v := reflect.ValueOf(n); {
	case v.CanUint():
		return schema.Bytes(v.Uint()), nil
	case v.CanInt() && v.Int() >= 0:
		return schema.Bytes(uint64(v.Int())), nil
	}
	return "", fmt.Errorf("bytes: found %v, want a number of bytes", n)
}

// Templates are those of a configuration; nil ones are not given.
type Templates struct{ subject, text, html executor }

// Parse compiles the templates that are not empty: subject and text in the language of
// text/template, html in that of html/template, over Data. A mistake is an error for
// each key.
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

// Check runs the templates on notifications of every kind, and returns an error for each one
// that fails.
func (t *Templates) Check() []error {
	var errs []error
	for _, k := range t.given() {
		for _, s := range samples() {
			if _, err := k.run(s.data); err != nil {
				errs = append(errs, templateError(k.key, err, s.name))
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
func (k keyedTemplate) run(d *Data) (string, error) {
	w := &limited{}
	if err := k.template.Execute(w, d); err != nil {
		return "", err
	}
	if strings.TrimSpace(w.text.String()) == "" {
		return "", errors.New("gives an empty " + k.key)
	}
	return w.text.String(), nil
}

// render runs the templates; what is not given stays empty.
func (t *Templates) render(d *Data) (c content, err error) {
	for _, k := range t.given() {
		s, err := k.run(d)
		if err != nil {
			return c, templateError(k.key, err, "")
		}

		switch k.key {
		case "subject":
			c.subject = wording.Clip(strings.Join(strings.Fields(s), " "), maxSubject)
		case "text":
			c.text = s
		case "html":
			c.html = s
		}
	}
	return c, nil
}

// limited keeps what a template writes, up to maxBody.
type limited struct{ text strings.Builder }

var errTooLong = fmt.Errorf("writes more than %d bytes", maxBody)

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	if l.text.Len()+len(p) > maxBody {
		return 0, errTooLong
	}
	return l.text.Write(p)
}

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
