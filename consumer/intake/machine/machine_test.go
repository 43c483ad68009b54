package machine

import (
	"strings"
	"testing"
	"time"

	"supernats/consumer/config"
	"supernats/consumer/state"
	"supernats/schema"
)

func TestBootOf(t *testing.T) {
	const head = `{"specversion":"1.0","id":"`
	for payload, want := range map[string]string{
		head + `web1/4f0c/12","source"`: "4f0c", head + `web1/4f0c/12/1","source"`: "4f0c", head + `web2/4f0c/12"`: "", head + `web1`: "", "": "", "{}": "",
		head + "web1/" + strings.Repeat("a", 100): strings.Repeat("a", maxBoot),
	} {
		if got := bootOf([]byte(payload), "web1"); got != want {
			t.Errorf("%s: %q", payload, got)
		}
	}
}

// An ephemeral host that has said goodbye is forgotten after its silence, and nobody is
// notified; for one that has not, people are notified once.
func TestEphemeral(t *testing.T) {
	cfg := config.Default()
	set, err := cfg.CompileRules()
	if err != nil {
		t.Fatal(err)
	}
	for _, ephemeral := range []bool{false, true} {
		day := &flapper{T: t, m: New(set, state.DefaultLimits()), now: time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)}
		day.says("web", schema.ProcessStateRunning, 0)
		day.bridge(&schema.Bridge{Ephemeral: ephemeral}, schema.BridgeStarted)
		day.bridge(&schema.Bridge{Ephemeral: ephemeral, SupervisorState: "STOPPING"}, schema.BridgeStopping)
		day.m.Engine.Advance(day.now.Add(72 * time.Hour))
		notes := day.m.Take()
		silent := day.m.Fleet.Silent(day.now.Add(4*time.Minute), time.Time{})
		switch {
		case ephemeral && (len(notes) != 0 || len(silent) != 1 || silent[0].Reason != schema.ForgottenEphemeral):
			t.Errorf("%d notifications; to be forgotten are %v", len(notes), silent)
		case !ephemeral && (len(notes) != 1 || len(silent) != 0):
			t.Errorf("%d notifications; to be forgotten are %v", len(notes), silent)
		}
		if again := day.m.Fleet.Silent(day.now.Add(time.Minute), time.Time{}); len(again) != 0 {
			t.Errorf("too early: %v", again)
		}
	}
}
