package letter

import "testing"

func TestCommand(t *testing.T) {
	if got, want := command(batch(firing())), "supernats replay --host web1 --process api_00 --since 2026-11-21T18:50:31Z"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
