package alertmanager

import (
	"testing"
	"time"

	"github.com/rs/zerolog"

	"supernats/consumer/notify/notifytest"
)

// The alert fires there for as long as it is sent again, and is over by itself after that.
func TestKeepFiring(t *testing.T) {
	url := notifytest.Alertmanager(t, "")
	r := receiver(t, Config{URLs: []string{url, "http://127.0.0.1:1"}}, zerolog.Nop())
	const lasts = 3 * time.Second
	fires := func() bool {
		l := shown(t, url)
		return len(l) == 1 && l[0].Labels["alertname"] == "Watchdog" && l[0].Labels["severity"] == "none" &&
			l[0].Labels["instance"] != "" && l[0].Status.State == "active"
	}

	for range 3 {
		if err := r.KeepFiring(t.Context(), lasts); err != nil {
			t.Fatal(err)
		}
		until(t, "firing", fires)
	}
	until(t, "over", func() bool { return len(shown(t, url)) == 0 })
}

// It is an error when none of the Alertmanagers takes it.
func TestKeepFiringThatNobodyTakes(t *testing.T) {
	r := receiver(t, Config{URLs: []string{"http://127.0.0.1:1"}}, zerolog.Nop())
	if err := r.KeepFiring(t.Context(), time.Minute); err == nil {
		t.Error("taken by nobody, and no error")
	}
}
