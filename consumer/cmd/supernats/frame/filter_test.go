package frame

import (
	"testing"

	"supernats/schema"
)

// A name that some event has, and a glob that may be for one that is not known here.
func TestEventNames(t *testing.T) {
	for _, event := range []string{
		"PROCESS_STATE", "EVENT", "TICK_*", "PROCESS_STATE_FROZE[N]", "{TICK_5,TICK_60}", "REMOTE_COMMUNICATION",
		"supernats.bridge.loss",
	} {
		if err := checkEvents(schema.SplitGlobs([]string{event})); err != nil {
			t.Error(err)
		}
	}
}
