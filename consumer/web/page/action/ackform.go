package action

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"supernats/consumer/acknowledge"
	"supernats/consumer/web/page/look"
)

// AckForm is the form that acknowledges an incident, as it was typed.
type AckForm struct {
	// Reason says who does what, For is how long that holds at most; "": until it is over or
	// gets worse.
	Reason, For string
	Lasts       []look.Choice
	// Author is under which name it is acknowledged, Path where the form is sent.
	Author  string
	Path    string
	Refusal Refusal
}

// ackLasts is chosen in a form that nothing was filled into: a shift.
const ackLasts = "8h"

// AckFormOf reads the form from an address or from what was sent.
func AckFormOf(q url.Values, incident, author string) *AckForm {
	f := &AckForm{Reason: q.Get("reason"), For: ackLasts, Author: author, Path: AckPath(incident)}
	if q.Has("for") {
		f.For = strings.TrimSpace(q.Get("for"))
	}
	f.Lasts = look.AckLastsChoices(f.For)
	return f
}

// Read returns what was filled in; lasts is 0 if it holds until the incident is over.
func (f *AckForm) Read() (reason string, lasts time.Duration, err error) {
	reason = strings.TrimSpace(f.Reason)
	if f.For != "" {
		if lasts, err = lasting(f.For); err != nil {
			return reason, 0, err
		}
	}
	if reason == "" {
		return "", 0, &Mistake{
			"reason", "the reason is missing: say who does what, for those who wonder why it is not repeated",
		}
	}
	if len(reason) > acknowledge.MaxReason {
		return "", 0, &Mistake{"reason", fmt.Sprintf("the reason has %d bytes: want at most %d", len(reason),
			acknowledge.MaxReason)}
	}
	return reason, lasts, nil
}
