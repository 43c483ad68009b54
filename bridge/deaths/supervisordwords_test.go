package deaths

import (
	"testing"

	"supernats/schema"
)

func TestSupervisordWords(t *testing.T) {
	for want, exit := range map[string]*schema.Exit{
		"unknown reason":     nil,
		"exit status 3":      {Code: new(3)},
		"exit status 0":      {Code: new(0)},
		"SIGKILL":            {Signal: "SIGKILL"},
		"can't find command": {SpawnErr: "can't find command"},
		"SIGKILL, " + (&schema.OOM{Limit: 1 << 20}).String(): {Signal: "SIGKILL", OOM: &schema.OOM{Limit: 1 << 20}},
	} {
		if got := SupervisordWords(exit); got != want {
			t.Errorf("%+v: %q, want %q", exit, got, want)
		}
	}
	if got := SupervisordWords(&schema.Exit{}); got != "unknown reason" {
		t.Errorf("of nothing: %q", got)
	}
}
