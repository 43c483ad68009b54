package machine

import (
	"errors"
	"strings"
	"testing"
	"time"

	"supernats/consumer"
	"supernats/consumer/config"
	"supernats/consumer/state"
	"supernats/schema"
)

// A message acknowledges the alert of its subject: rights are granted on subjects.
func TestAcknowledgementsAreOfTheirSubject(t *testing.T) {
	cfg := config.Default()
	set, err := cfg.CompileRules()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	ack := func(edit func(*schema.Ack)) *schema.Ack {
		a := &schema.Ack{
			Incident: "fatal/1", Rule: "fatal", Host: "web1", Group: "api", Process: "api_00", By: "ann", Reason: "looking",
		}
		edit(a)
		return a
	}
	unchanged := func(*schema.Ack) {}
	for _, c := range []struct {
		name, typ, subject string
		edit               func(*schema.Ack)
		says               string
	}{
		{name: "another host", subject: "supervisor.ack.web2.api.api_00.fatal", edit: unchanged, says: "another one's"},
		{name: "another process", subject: "supervisor.ack.web1.api.api_01.fatal", edit: unchanged, says: "another one's"},
		{name: "another rule", subject: "supervisor.ack.web1.api.api_00.loss", edit: unchanged, says: "another one's"},
		{name: "a type that is not known", typ: schema.TypeAlertFiring, edit: unchanged, says: "is of type"},
		{name: "by nobody", edit: func(a *schema.Ack) { a.By = "" }, says: "by whom"},
		{name: "of no alert", edit: func(a *schema.Ack) { a.Incident = "" }, says: "of which alert"},
		{name: "one of ours", edit: unchanged},
		{name: "long texts are cut", edit: func(a *schema.Ack) { a.By, a.Reason = strings.Repeat("x", 1e5), strings.Repeat("x", 1e5) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := ack(c.edit)
			subject, typ := c.subject, c.typ
			if subject == "" {
				subject = a.Subject()
			}
			if typ == "" {
				typ = schema.TypeAck
			}
			data, err := schema.Marshal(a.Envelope("a1", typ, at))
			if err != nil {
				t.Fatal(err)
			}
			in := &consumer.Message{Subject: subject, Data: data, Seq: 7, Stored: at}

			err = New(set, state.DefaultLimits()).Apply(in, at.Add(-time.Hour))
			switch {
			case c.says == "" && err != nil:
				t.Error(err)
			case c.says != "" && (!errors.As(err, new(Unreadable)) || !strings.Contains(err.Error(), c.says)):
				t.Errorf("%v, want one that is unreadable with %q", err, c.says)
			}
			if ce, err := decodeAck(in); err == nil && (len(ce.Data.By) > maxLabel || len(ce.Data.Reason) > maxReason) {
				t.Errorf("%d and %d bytes", len(ce.Data.By), len(ce.Data.Reason))
			}
		})
	}

	in := &consumer.Message{Subject: "supervisor.ack.web1.api.api_00.fatal", Data: []byte("{"), Seq: 7, Stored: at}
	if err := New(set, state.DefaultLimits()).Apply(in, at); !errors.As(err, new(Unreadable)) {
		t.Error(err)
	}
}
