package health_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"supernats/consumer/health"
)

func causes(list []health.Trouble) string {
	var names []string
	for _, t := range list {
		names = append(names, t.Cause)
	}
	return strings.Join(names, " ")
}

func TestTroublesAreListedByAgeAndLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		h := health.New(zerolog.New(&log))
		h.Raise("store", "nothing can be written", "free some space")
		time.Sleep(time.Minute)
		h.Raise("nats", "NATS is not connected", "start nats-server")
		h.Warn("surplus", "too many records", "raise the limit")
		h.Raise("store", "nothing can be written at all", "free some space")

		if got := causes(h.Failures()); got != "store nats" {
			t.Errorf("failures: %q", got)
		}
		if got := causes(h.Warnings()); got != "surplus" {
			t.Errorf("warnings: %q", got)
		}
		if first := h.Failures()[0]; first.Text != "nothing can be written at all" || time.Since(first.Since) != time.Minute {
			t.Errorf("raised again, the trouble is %+v", first)
		}
		if n := strings.Count(log.String(), `"cause":"store"`); n != 1 {
			t.Errorf("the trouble is logged %d times:\n%s", n, log.String())
		}

		h.Clear("store")
		h.Clear("store")
		h.Clear("unheard-of")
		if got := causes(h.Failures()); got != "nats" {
			t.Errorf("failures after one was cleared: %q", got)
		}
		if n := strings.Count(log.String(), "no longer: nothing can be written at all"); n != 1 {
			t.Errorf("the end is logged %d times:\n%s", n, log.String())
		}
	})
}

func TestRetryRaisesATroubleThatLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		h := health.New(zerolog.Nop())
		r := health.Retry{Log: zerolog.New(&log), What: "reading events", Health: h, Cause: "events", Fix: health.RunDoctor}
		begun := time.Now()
		err := r.Until(t.Context(), func() error {
			failsFor := time.Since(begun)
			if raised := len(h.Failures()) > 0; raised && failsFor < health.Grace {
				t.Errorf("raised after %v", failsFor)
			}
			if failsFor > time.Minute {
				if got := causes(h.Failures()); got != "events" {
					t.Errorf("failures after %v: %q", failsFor, got)
				}
				return nil
			}
			return errors.New("no stream")
		})

		if err != nil || len(h.Failures()) > 0 {
			t.Errorf("after a success: %v, %+v", err, h.Failures())
		}
		for text, want := range map[string]int{"reading events was interrupted": 1, "reading events works again": 1} {
			if n := strings.Count(log.String(), text); n != want {
				t.Errorf("%q is logged %d times:\n%s", text, n, log.String())
			}
		}
	})
}

func TestRetryEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := health.New(zerolog.Nop())
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r := health.Retry{Log: zerolog.Nop(), What: "reading events", Health: h, Cause: "events"}
		err := r.Until(ctx, func() error { return errors.New("no stream") })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if len(h.Failures()) > 0 {
			t.Errorf("nobody tries any more, and it is still %+v", h.Failures())
		}
	})
}
