package pulse

import (
	"context"
	"errors"
	"testing"

	"supernats/bridge/trouble/troubletest"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// One time-out is no trouble, two in a row are; any other error is one at once.
func TestAnswers(t *testing.T) {
	late, refused := context.DeadlineExceeded, errors.New("connection refused")
	for _, tc := range []struct {
		name  string
		calls []error // nil: it was answered
		want  troubletest.Lasting
	}{
		{name: "a time-out", calls: []error{late}, want: troubletest.Lasting{}},
		{name: "time-outs with an answer between them", calls: []error{late, nil, late}, want: troubletest.Lasting{}},
		{name: "two time-outs", calls: []error{late, late}, want: troubletest.Lasting{CauseXMLRPC: true}},
		{name: "refused", calls: []error{refused}, want: troubletest.Lasting{CauseXMLRPC: true}},
		{name: "answered again", calls: []error{refused, nil}, want: troubletest.Lasting{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := troubletest.Lasting{}
			a := &Answers{Log: zerolog.Nop(), Troubles: got}
			for _, err := range tc.calls {
				if err == nil {
					a.Answered()
				} else {
					a.Failed(err)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("troubles (-want +got):\n%s", diff)
			}
		})
	}
}
