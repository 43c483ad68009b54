package schema

import "time"

const testBoot = "4f0c6d1e2a90b7c3"

var testTime = time.Date(2026, 11, 21, 19, 0, 31, 833512000, time.UTC)
