package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"
	"time"

	"supernats/consumer/templating"
	"supernats/schema"
)

// text is a named template of a label or an annotation.
type text struct {
	name string
	tmpl *template.Template
}

// functions are what templates may call besides those of text/template.
var functions = templating.Functions(map[string]any{
	"truncate": func(n int, s string) string {
		if r := []rune(s); n >= 0 && len(r) > n {
			return string(r[:n])
		}
		return s
	},
	"lastLines": lastLines,
	"duration":  durationText,
	"date":      func(layout string, t time.Time) string { return t.UTC().Format(layout) },
	"json": func(v any) (string, error) {
		b, err := json.Marshal(v)
		return string(b), err
	},
})

// durationText writes whole seconds, and of less than one milliseconds.
func durationText(d time.Duration) string {
	unit := time.Second
	if d < time.Second {
		unit = time.Millisecond
	}
	return schema.Duration(d.Round(unit)).String()
}

func lastLines(n int, s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(len(lines)-max(n, 0), 0):], "\n")
}

// compileTexts reads the labels and annotations of a rule.
func compileTexts(r *Rule, c Config) error {
	var labels, annotations error
	r.labels, labels = compileTemplates("labels", c.Labels, nil)
	r.annotations, annotations = compileTemplates("annotations", c.Annotations, slices.Sorted(maps.Keys(c.Labels)))
	return errors.Join(labels, annotations)
}

// compileTemplates reads the templates of one key. labels are those that they may use.
func compileTemplates(key string, sources map[string]string, labels []string) (all []text, err error) {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		if !isLabelName(name) {
			const allowed = "letters, digits and '_', no digit first"
			errs = append(errs, at(key, fmt.Errorf("found the name %q, allowed are %s", clip(name), allowed)))
			continue
		}
		t, err := compileTemplate(name, sources[name], labels)
		if err != nil {
			errs = append(errs, at(key+"."+name, err))
			continue
		}
		all = append(all, text{name, t})
	}
	return all, errors.Join(errs...)
}

// compileTemplate reads a template, and tries it: many mistakes show only then.
func compileTemplate(name, source string, labels []string) (*template.Template, error) {
	t, err := template.New(name).Option("missingkey=error").Funcs(functions).Parse(source)
	if err == nil {
		for _, v := range samples(labels) {
			if _, err = execute(t, v); err != nil {
				break
			}
		}
	}
	if err != nil {
		const allowed = "a text, {{.Host}} and the like in it"
		return nil, fmt.Errorf("found %q: %w; allowed is %s", clip(source), plainError(err), allowed)
	}
	return t, nil
}

// plainTemplateTypes replaces what text/template calls our types.
var plainTemplateTypes = strings.NewReplacer(
	"template: ", "", "in type rules.ViewEvent", "in an event", "in type rules.ViewExit", "in Exit",
	"in type rules.View", "in an alert", "in type *schema.OOM", "in Exit.OOM", "in type *schema.Look", "in Last",
)

// plainError leaves out what text/template says of its own.
func plainError(err error) error { return errors.New(plainTemplateTypes.Replace(err.Error())) }

func isLabelName(s string) bool {
	isDigit := func(r rune) bool { return r >= '0' && r <= '9' }
	isOther := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || isDigit(r) || r == '_')
	}
	return s != "" && !isDigit(rune(s[0])) && !strings.ContainsFunc(s, isOther)
}

// maxText is how long a label or an annotation may become.
const maxText = 16 << 10

var errLong = fmt.Errorf("the text is longer than %d bytes", maxText)

func execute(t *template.Template, v *View) (string, error) {
	w := &templating.Limited{Most: maxText, TooLong: errLong}
	err := t.Execute(w, v)
	return strings.ToValidUTF8(w.String(), "\ufffd"), err
}

// render makes labels or annotations. A template that fails, although it did not when it
// was tried, says so in its place: the alert must not be lost because of it.
func render(all []text, v *View) map[string]string {
	if len(all) == 0 {
		return nil
	}
	m := make(map[string]string, len(all))
	for _, t := range all {
		s, err := execute(t.tmpl, v)
		if err != nil {
			s += "<error: " + plainError(err).Error() + ">"
		}
		m[t.name] = s
	}
	return m
}
