package action

import (
	"errors"
	"html/template"
	"net/url"
	"strings"
	"time"

	"supernats/consumer/web/page/look"
	"supernats/schema"
)

// Mistake is what is wrong with a field.
type Mistake struct{ Field, Text string }

func (m *Mistake) Error() string { return m.Text }

// Refusal is why a form is shown again. The zero Refusal is that of a form nobody has sent.
type Refusal struct {
	// Text says what to correct, Field in which field; "" if it is none of them.
	Text, Field string
}

// RefusalOf says what an error means to who has sent the form; nil is no refusal.
func RefusalOf(err error) (r Refusal) {
	if err == nil {
		return r
	}
	r.Text = look.Sentence(err.Error())
	var mistake *Mistake
	if errors.As(err, &mistake) {
		r.Field = mistake.Field
	}
	return r
}

// Mark returns the attributes of a field: those that say that it is the wrong one, or none.
func (r Refusal) Mark(field string) template.HTMLAttr {
	if r.Field != field {
		return ""
	}
	return `aria-invalid="true" aria-describedby="wrong"`
}

// List returns the values of a parameter that are not empty.
func List(q url.Values, key string) (list []string) {
	for _, value := range q[key] {
		if value = strings.TrimSpace(value); value != "" {
			list = append(list, value)
		}
	}
	return list
}

// lasting reads for how long something is to be in force.
func lasting(text string) (time.Duration, error) {
	d, err := schema.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, &Mistake{"for", "how long it lasts is missing: want 30m, 2h, 1d"}
	}
	return time.Duration(d), nil
}
