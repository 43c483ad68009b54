package page

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"supernats/consumer/fleet"
	"supernats/consumer/fleettest"
	"supernats/consumer/history"
	"supernats/consumer/web/page/look"
	"supernats/consumer/web/site"
)

// brokenView has a mistake of ours.
type brokenView struct{}

func (brokenView) show(s *fleet.Snapshot, _ look.Clock) (*shown, error) {
	return &shown{title: s.Hosts[3].Name()}, nil
}

func (brokenView) complete(*http.Request, *answer) error { return nil }

// A page with a mistake in it ends no more than itself.
func TestABrokenPageEndsNothingElse(t *testing.T) {
	var log fleettest.Buffer
	p := New(Options{Site: &site.Site{}, Fleet: fleet.New(), Log: zerolog.New(&log)})
	if _, err := p.frameOf(brokenView{}, &fleet.Snapshot{}); err == nil {
		t.Error("it has shown something")
	}
	if !strings.Contains(log.String(), "index out of range") {
		t.Errorf("the log has %s", log.String())
	}
}

// An event that cannot be shown ends nothing either: the page is fetched instead.
func TestABrokenEventEndsNothingElse(t *testing.T) {
	var log fleettest.Buffer
	p := New(Options{Site: &site.Site{}, Fleet: fleet.New(), Log: zerolog.New(&log)})
	n := &eventNews{view: &eventsView{pages: p}}
	if _, err := n.row(&history.StoredEvent{}); err == nil {
		t.Error("it has shown something")
	}
	if !strings.Contains(log.String(), "nil pointer") {
		t.Errorf("the log has %s", log.String())
	}
}
