package wording_test

import (
	"testing"

	"supernats/consumer/wording"
	"supernats/schema"
)

func TestOfAlert(t *testing.T) {
	yes, no := true, false
	for _, tc := range []struct {
		name  string
		alert schema.Notification
		want  string // "" where only the rule's author has words
	}{
		{name: "a rule of somebody's, without events", alert: schema.Notification{Rule: "down"}},
		{
			name:  "an event that nobody knows",
			alert: schema.Notification{Rule: "odd", Events: []schema.AlertEvent{{Event: "THING"}}},
		},
		{
			name: "an exit that the event calls unexpected",
			alert: schema.Notification{
				Rule: "mine", Events: []schema.AlertEvent{{Event: schema.ProcessStateExited, Expected: &no}},
			},
			want: "exited unexpectedly",
		},
		{
			name: "an exit that the event calls expected",
			alert: schema.Notification{
				Rule: "mine", Events: []schema.AlertEvent{{Event: schema.ProcessStateExited, Expected: &yes}},
			},
			want: "exited as expected",
		},
		{
			name:  "an exit that does not say",
			alert: schema.Notification{Rule: "mine", Events: []schema.AlertEvent{{Event: schema.ProcessStateExited}}},
			want:  "exited",
		},
		{
			name: "the last event counts",
			alert: schema.Notification{
				Rule:   "unexpected-exit",
				Events: []schema.AlertEvent{{Event: schema.ProcessStateExited}, {Event: schema.ProcessStateFatal}},
			},
			want: "is FATAL, gave up starting it",
		},
		{
			name:  "a loss of somebody's rule",
			alert: schema.Notification{Rule: "mine", Kind: schema.KindLoss},
			want:  "has lost events",
		},
		{
			name:  "a silent host of somebody's rule",
			alert: schema.Notification{Rule: "mine", Kind: schema.KindSilent},
			want:  "is silent, its bridge sends nothing",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, ok := wording.OfAlert(&tc.alert)
			if ok != (tc.want != "") || p.Text() != tc.want {
				t.Errorf("%q, %t; want %q", p.Text(), ok, tc.want)
			}
		})
	}
}
