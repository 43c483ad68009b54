package repeat

import (
	"context"
	"time"
)

// Sleep waits between two attempts: for d, or until ctx ends. It reports whether ctx has
// not ended.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
