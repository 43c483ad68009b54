package notifytest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"supernats/consumer/notify"
	"supernats/schema"
)

const (
	// short is the time limit of receivers that have to run into it; patient that of those
	// that must not. slack is what a loaded machine may add.
	short   = 300 * time.Millisecond
	patient = time.Minute
	slack   = 20 * time.Second
)

// RunReceiver runs the suite.
func RunReceiver(t *testing.T, m Make) {
	s := suite{m}

	for _, c := range []struct {
		name string
		run  func(*testing.T)
	}{
		{name: "one", run: func(t *testing.T) { s.accepted(t, []*notify.Notification{Firing("a/1")}) }},
		{name: "many", run: func(t *testing.T) { s.accepted(t, Many(150)) }},
		{name: "hostile", run: s.hostile},
		{name: "unusable", run: s.unusable},
		{name: RefuseForGood.String(), run: s.refused},
		{name: RefuseForNow.String(), run: s.putOff},
		{name: Silent.String(), run: func(t *testing.T) { s.inTime(t, Silent) }},
		{name: Drip.String(), run: func(t *testing.T) { s.inTime(t, Drip) }},
		{name: Flood.String(), run: func(t *testing.T) { s.inTime(t, Flood) }},
		{name: "cancelled", run: s.cancelled},
		{name: "cancelled before", run: s.cancelledBefore},
		{name: "again", run: s.again},
		{name: "at the same time", run: s.concurrent},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

type suite struct{ setUp Make }

// notify calls Notify and checks what holds for every call: the batch is not changed, it took
// no longer than it may, and no error shows a secret.
func (s suite) notify(
	ctx context.Context, t *testing.T, p Peer, batch []*notify.Notification, atMost time.Duration,
) error {
	t.Helper()
	before := marshal(t, batch)
	answer := make(chan error, 1)
	go func() { answer <- p.Receiver.Notify(ctx, batch) }()

	var err error
	select {
	case err = <-answer:
	case <-time.After(atMost + slack):
		t.Fatalf("has not returned after %s, may take %s", atMost+slack, atMost)
	}

	if after := marshal(t, batch); before != after {
		t.Errorf("the batch was changed:\n%.2000s\n%.2000s", before, after)
	}
	if err == nil {
		return nil
	}
	if text := err.Error(); strings.ContainsAny(text, "\n\r") || !utf8.ValidString(text) || text == "" {
		t.Errorf("want an error of one line of text: %q", text)
	}
	for _, secret := range p.Secrets {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error shows a secret (%s): %v", secret, err)
		}
	}
	return err
}

func marshal(t *testing.T, batch []*notify.Notification) string {
	t.Helper()
	b, err := json.Marshal(batch)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// accepted checks that a batch is delivered and arrives as text.
func (s suite) accepted(t *testing.T, batch []*notify.Notification) Peer {
	t.Helper()
	p := s.setUp(t, Accept, patient)
	if p.Receiver.Name() == "" || p.Receiver.Name() != s.setUp(t, Accept, patient).Receiver.Name() {
		t.Errorf("name %q is empty or another each time", p.Receiver.Name())
	}
	if err := s.notify(t.Context(), t, p, batch, patient); err != nil {
		t.Fatalf("not accepted: %v", err)
	}

	got := p.Got()
	if len(got) == 0 {
		t.Fatal("nothing arrived")
	}
	for _, b := range got {
		if len(b) == 0 || !utf8.Valid(b) {
			t.Errorf("want text, arrived is %.200q", b)
		}
	}
	return p
}

func (s suite) hostile(t *testing.T) {
	s.accepted(t, HostileBatch())
	for i, name := range Hostile {
		p := s.setUp(t, Accept, patient)
		if err := s.notify(t.Context(), t, p, HostileBatch()[i:i+1], patient); err != nil {
			t.Errorf("%.40q is not accepted: %v", name, err)
		}
	}
}

// unusable batches come back at every try.
func (s suite) unusable(t *testing.T) {
	p := s.setUp(t, Accept, patient)
	for name, batch := range map[string][]*notify.Notification{
		"nil": nil, "nil inside": {nil}, "no data": {Firing("a/1"), {ID: "a/1/1", Type: schema.TypeAlertFiring}},
	} {
		if err := s.notify(t.Context(), t, p, batch, patient); !notify.IsPermanent(err) {
			t.Errorf("%s: error is not permanent: %v", name, err)
		}
	}
	if got := p.Got(); len(got) > 0 {
		t.Errorf("sent all the same: %.200q", got)
	}
}

func (s suite) refused(t *testing.T) {
	p := s.setUp(t, RefuseForGood, patient)
	err := s.notify(t.Context(), t, p, Many(3), patient)
	if !notify.IsPermanent(err) {
		t.Errorf("error is not permanent: %v", err)
	}
	if d, ok := notify.RetryAfter(err); ok {
		t.Errorf("permanent, and to be tried after %s: %v", d, err)
	}
}

func (s suite) putOff(t *testing.T) {
	p := s.setUp(t, RefuseForNow, patient)
	err := s.notify(t.Context(), t, p, Many(3), patient)
	if err == nil || notify.IsPermanent(err) {
		t.Errorf("error is nil or permanent: %v", err)
	}
	if d, ok := notify.RetryAfter(err); ok && d <= 0 {
		t.Errorf("to be tried after %s", d)
	}
}

// inTime: whatever the other side does, Notify returns when the time is over.
func (s suite) inTime(t *testing.T, b Behaviour) {
	p := s.setUp(t, b, short)
	err := s.notify(t.Context(), t, p, Many(3), short)
	if err == nil || notify.IsPermanent(err) {
		t.Errorf("error is nil or permanent: %v", err)
	}
	if b == Silent && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("want DeadlineExceeded: %v", err)
	}
}

// cancelled ends the context when the other side has got something.
func (s suite) cancelled(t *testing.T) {
	p := s.setUp(t, Silent, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	var watch sync.WaitGroup
	watch.Go(func() {
		for begun := time.Now(); len(p.Got()) == 0 && time.Since(begun) < slack; {
			time.Sleep(time.Millisecond)
		}
		cancel()
	})
	err := s.notify(ctx, t, p, Many(3), 0)
	watch.Wait()
	if !errors.Is(err, context.Canceled) || notify.IsPermanent(err) {
		t.Errorf("want Canceled, and not permanent: %v", err)
	}
}

func (s suite) cancelledBefore(t *testing.T) {
	p := s.setUp(t, Silent, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.notify(ctx, t, p, Many(3), 0); !errors.Is(err, context.Canceled) || notify.IsPermanent(err) {
		t.Errorf("want Canceled, and not permanent: %v", err)
	}
}

// again: the same batch carries the same ids, another one others.
func (s suite) again(t *testing.T) {
	p := s.setUp(t, Accept, patient)
	ids := func(batch []*notify.Notification) []string {
		before := len(p.Got())
		if err := s.notify(t.Context(), t, p, batch, patient); err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, b := range p.Got()[before:] {
			if p.IDs == nil {
				list = append(list, string(b))
				continue
			}
			list = append(list, p.IDs(b)...)
		}
		return list
	}

	first, second := ids(Many(5)), ids(Many(5))
	other := ids([]*notify.Notification{Firing("other/1", func(a *schema.Notification) { a.Process = "other" })})
	if len(first) == 0 || !slices.Equal(first, second) {
		t.Errorf("ids of the same batch are %.500q and then %.500q", first, second)
	}
	for _, id := range other {
		if id == "" || slices.Contains(first, id) {
			t.Errorf("id %.500q is empty, or that of another alert too", id)
		}
	}
}

func (s suite) concurrent(t *testing.T) {
	p := s.setUp(t, Accept, patient)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := p.Receiver.Notify(t.Context(), Many(3)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
