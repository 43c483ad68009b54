package pulse

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// lasting are the causes of the troubles that last.
type lasting map[string]bool

func (l lasting) Raise(cause, _, _ string) { l[cause] = true }
func (l lasting) Clear(cause string)       { delete(l, cause) }

// One time-out is no trouble, two in a row are; any other error is one at once.
func TestAnswers(t *testing.T) {
	late, refused := context.DeadlineExceeded, errors.New("connection refused")
	for _, tc := range []struct {
		name  string
		calls []error // nil: it was answered
		want  lasting
	}{
		{name: "a time-out", calls: []error{late}, want: lasting{}},
		{name: "time-outs with an answer between them", calls: []error{late, nil, late}, want: lasting{}},
		{name: "two time-outs", calls: []error{late, late}, want: lasting{CauseXMLRPC: true}},
		{name: "refused", calls: []error{refused}, want: lasting{CauseXMLRPC: true}},
		{name: "answered again", calls: []error{refused, nil}, want: lasting{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := lasting{}
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
