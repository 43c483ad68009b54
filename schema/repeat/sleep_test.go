package repeat

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if !Sleep(ctx, 0) || !Sleep(ctx, -time.Second) || !Sleep(ctx, 40*time.Second) ||
			time.Since(begun) != 40*time.Second {
			t.Errorf("slept for %v", time.Since(begun))
		}
		if Sleep(ctx, time.Hour) || time.Since(begun) != time.Minute {
			t.Errorf("woke after %v, not at the end of the context", time.Since(begun))
		}
		if Sleep(ctx, 0) {
			t.Error("the context has ended")
		}
	})
}
