// Package action is what people do on the pages: silence alerts and end that, acknowledge
// an incident and withdraw that. Only a POST does something, only where web.allow says so,
// and each answers when the fleet shows it, after two seconds at the latest.
//
// A form that is refused, or cannot be stored, is shown again with all that was typed.
package action

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/acknowledge"
	"supernats/consumer/fleet"
	"supernats/consumer/web/page/look"
	"supernats/consumer/web/site"
)

// Room holds what actions need.
type Room struct {
	Site  *site.Site
	Fleet *fleet.Fleet
	// JetStream returns the connection to NATS, nil while there is none.
	JetStream func() jetstream.JetStream
	// Acknowledger acknowledges incidents; nil: that is not offered.
	Acknowledger Acknowledger
	Log          zerolog.Logger
}

// Answer is a form to show, or where to look next.
type Answer struct {
	// Next is a path to look at; "": the form.
	Next string
	// Template is that of the form, Nav the path of its entry in the navigation.
	Template, Title, Nav string
	Status               int
	Form                 any
	Snapshot             *fleet.Snapshot
}

// Handler answers a request, or says in an error why nothing was done.
type Handler func(r *http.Request) (*Answer, error)

// Handlers returns what answers by patterns of addresses.
func (room *Room) Handlers() map[string]Handler {
	return map[string]Handler{
		"GET /mutes/new":            room.showMuteForm,
		"POST /mutes":               room.makeMute,
		"POST /mutes/{id}/end":      room.endMute,
		"GET /alerts/{id}/ack":      room.showAckForm,
		"POST /alerts/{id}/ack":     room.acknowledge,
		"POST /alerts/{id}/ack/end": room.endAck,
		"GET /alerts/{id}/ack/end":  wantPost, // else it would be the page of an incident
	}
}

// wantPost answers who opens what a form sends: that changes nothing.
func wantPost(*http.Request) (*Answer, error) {
	return nil, &look.Problem{
		Status: http.StatusMethodNotAllowed, Text: "opening this address withdraws nothing",
		Fix: "The page of the incident has the form that does.",
	}
}

// maxForm bounds what a form may send, in bytes.
const maxForm = 64 << 10

func parseForm(r *http.Request) error {
	r.Body = http.MaxBytesReader(nil, r.Body, maxForm)
	err := r.ParseForm()
	if errors.As(err, new(*http.MaxBytesError)) {
		return &look.Problem{
			Status: http.StatusRequestEntityTooLarge, Text: fmt.Sprintf("the form is larger than %d bytes", maxForm),
			Fix: "Send it again from the page, with less text.",
		}
	}
	if err != nil {
		return &look.Problem{
			Status: http.StatusBadRequest, Text: "the form cannot be read: " + err.Error(),
			Fix: "Send it again from the page.",
		}
	}
	return nil
}

// refusalStatus is that of a form which is shown again for an error, or for the first time.
func refusalStatus(err error) int {
	var mistake *Mistake
	switch {
	case err == nil:
		return http.StatusOK
	case errors.As(err, &mistake), errors.As(err, new(acknowledge.Invalid)):
		return http.StatusUnprocessableEntity
	}
	return http.StatusServiceUnavailable
}

// shownWithin is how long it may take until the fleet shows what was changed.
const shownWithin = 2 * time.Second

// waitFor waits until the fleet shows something, so that the next page has it.
func (room *Room) waitFor(ctx context.Context, holds func(*fleet.Snapshot) bool) {
	ctx, cancel := context.WithTimeout(ctx, shownWithin)
	defer cancel()
	changed, stop := room.Fleet.Subscribe()
	defer stop()
	for !holds(room.Fleet.Snapshot()) {
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
