package eventlistener_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"supernats/bridge/eventlistener"
)

// What supervisord waits for is reported after each answer, and nothing of an event
// that was not answered.
func TestAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refuse := errors.New("no more")
		var out recorder
		var took []time.Duration
		accepted := 0
		l, err := eventlistener.New(eventlistener.Config{
			In: strings.NewReader(python("TICK_5", 1, "when:1") + python("TICK_5", 2, "when:2") +
				python("TICK_5", 3, "when:3")),
			Out: &out, Length: eventlistener.LengthChars,
			Accept: func(context.Context, []byte, []byte) error {
				if accepted++; accepted == 3 {
					return refuse
				}
				time.Sleep(time.Duration(accepted) * time.Second)
				return nil
			},
			Answered: func(d time.Duration) {
				took = append(took, d)
				if n := len(out.all()); n != 1+len(took) {
					t.Errorf("%d answers are reported, %d sentences are written", len(took), n)
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Run(t.Context()); !errors.Is(err, refuse) {
			t.Fatal(err)
		}
		if want := []time.Duration{time.Second, 2 * time.Second}; !slices.Equal(took, want) {
			t.Errorf("took %v, want %v", took, want)
		}
	})
}
