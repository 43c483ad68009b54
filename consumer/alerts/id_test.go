package alerts

import (
	"testing"
	"time"
)

// The stream may get several messages within one microsecond, and one alert may close and
// open again between them: their ids differ.
func TestIDsWithinOneMicrosecond(t *testing.T) {
	stored := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	first, second := Meta{Stored: stored, Seq: 58}, Meta{Stored: stored, Seq: 60}
	if a, b := idOf(first, "web1", "", "api"), idOf(second, "web1", "", "api"); a == b || a != "web1/api/1772366400000000/58" {
		t.Errorf("%s and %s", a, b)
	}
}
