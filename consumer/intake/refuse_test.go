package intake

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"supernats/consumer"
	"supernats/consumer/intake/machine"
	"supernats/consumer/source"
	"supernats/schema"
	"supernats/schema/stream"
)

// What one host sends that nobody can read takes no more than its share, also over
// restarts; it is counted and shown, and what others park is kept.
func TestShareOfParkedMessages(t *testing.T) {
	f := newFleet(t)
	stop := f.read()
	f.WaitHandled(f.Publish(f.Crash(), f.Crash(func(e *schema.Event) { e.Host = "db1" })))
	parked := func() (n map[string]int, bytes int) {
		n = map[string]int{}
		for _, m := range f.Messages(stream.Parked) {
			n[machine.HostToken(m.Header.Get(consumer.HeaderParkedSubject))]++
			bytes += len(m.Data)
		}
		return n, bytes
	}
	trouble := func(host string) string {
		h := f.Host(host)
		for _, t := range h.Troubles {
			if t.Cause == schema.TroubleUnreadable {
				return t.Text
			}
		}
		return ""
	}
	for i := range 4 {
		for range 30 {
			f.PublishRaw("supervisor.event.web1.api.api_00.process_state.exited", "no JSON "+strings.Repeat("x", 200<<10))
		}
		last := f.PublishRaw("supervisor.event.db1.api.api_00.process_state.exited", fmt.Sprint("no JSON ", i))
		for range 30 {
			last = f.PublishRaw(fmt.Sprintf("supervisor.event.invented%d-%d.x.x.process_state.exited", i, last), "no JSON")
		}
		f.WaitHandled(last)
		if i%2 == 1 {
			stop()
			stop = f.read()
		}
	}
	n, bytes := parked()
	if n["web1"] != parkedMessages || n["db1"] != 4 || len(n) != 2+parkedMessages || bytes > parkedBytes+parkedMessages*shortParked+8<<10 {
		t.Errorf("parked are %d bytes of %d hosts, of web1 %d, of db1 %d", bytes, len(n), n["web1"], n["db1"])
	}
	f.WaitHandled(f.PublishRaw("supervisor.event.web1.api.api_00.process_state.exited", "{}"))
	if text := trouble("web1"); !strings.HasPrefix(text, "1 messages could not be read, 1 of them were not kept") {
		t.Errorf("web1: %q", text)
	}
	if text := trouble("db1"); text != "" {
		t.Errorf("db1: %q", text)
	}

	// Room that somebody has made is found.
	s, err := f.JS.Stream(t.Context(), stream.Parked)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	reader := f.reader()
	if err := reader.restore(t.Context(), &source.Events{}); err != nil {
		t.Fatal(err)
	}
	defer reader.silences.Stop()
	p := parkedShares{counted: time.Now().Add(-2 * recount), byHost: map[string]*parkedShare{"web1": {messages: parkedMessages}}, most: parkedAll}
	if keep, err := p.roomFor(t.Context(), f.JS, "web1", 7, reader.shareOf); keep != 7 || err != nil {
		t.Error(keep, err)
	}
}

// Times that cannot be, names that are too long: what cannot be written again is parked,
// and what is only odd is reported at the stream's time.
func TestOddTimesAndNames(t *testing.T) {
	f := newFleet(t)
	stop := f.read()
	odd := []string{"0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1677-01-01T00:00:00Z", "2263-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59+14:00"}
	refused := []string{"9999-12-31T23:59:59-12:00", "-0001-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "0000-01-01T00:00:00+01:00"}
	at := time.Now()
	crash := func(text string, change ...func(*schema.Event)) {
		e := f.Crash(change...)
		json := strings.Replace(f.JSON(e.Envelope(at)), `"`+schema.Stamp(at)+`"`, `"`+text+`"`, 1)
		f.PublishRaw(e.Subject(), json)
	}
	for i, text := range append(odd, refused...) {
		crash(text, func(e *schema.Event) { e.Process = fmt.Sprint("p", i) })
	}
	crash(schema.Stamp(at), func(e *schema.Event) { e.Process = strings.Repeat("x", 2<<10) })
	crash(schema.Stamp(at), func(e *schema.Event) { e.Boot = strings.Repeat("x", 100) })
	f.WaitHandled(f.Publish(f.Crash(func(e *schema.Event) { e.Process, e.Host = "good", "db1" })))
	if n := f.WaitNotified(len(odd) + 1); len(n) != len(odd)+1 {
		t.Errorf("reported are %v", n)
	}
	if n := len(f.Messages(stream.Parked)); n != len(refused)+2 {
		t.Errorf("%d are parked", n)
	}
	for i := range odd {
		if s := f.Process("web1", "api", fmt.Sprint("p", i)); s.UnexpectedExits != 1 || s.Since.Sub(at).Abs() > time.Minute {
			t.Errorf("%s: %+v", odd[i], s)
		}
	}
	stop()
	f.read()
	f.WaitHandled(f.Publish(f.Crash()))
}
