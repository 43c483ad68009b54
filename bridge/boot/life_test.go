package boot

import (
	"maps"
	"slices"
	"testing"

	"supernats/bridge/trouble/troubletest"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

func firstPlace() Place { return Place{Server: "s", Pool: "supernats", Serial: 2} }

// A boot that cannot be found again is a trouble only while there is no place for it.
func TestLifeWithoutAPlace(t *testing.T) {
	for _, tc := range []struct {
		name   string
		before string // where it is kept before the first event; empty: nowhere
		want   []string
	}{
		{name: "with a spool", before: t.TempDir(), want: nil},
		{name: "without a spool", want: []string{CauseIdentity}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lasting := troubletest.Lasting{}
			l := NewLife(LifeConfig{
				Log: zerolog.Nop(), Troubles: lasting, FindSpool: func() (string, error) { return t.TempDir(), nil },
			})
			*l.Evidence() = Evidence{BootID: "b", PID: 1}
			loads := 0
			load := func(string) { loads++ }
			if tc.before != "" {
				l.KeepIn(tc.before, load)
			}
			l.Continue(Past{})
			l.Settle(firstPlace())
			if got := slices.Collect(maps.Keys(lasting)); !slices.Equal(got, tc.want) {
				t.Errorf("troubles %q, want %q", got, tc.want)
			}

			dir := t.TempDir()
			l.KeepIn(dir, load)
			if len(lasting) > 0 || loads != 1 || l.Dir() != dir {
				t.Errorf("troubles %v, loaded %d times, kept in %s", lasting, loads, l.Dir())
			}
			if diff := cmp.Diff(&Evidence{BootID: "b", PID: 1}, Load(dir, l.ID()), cmp.AllowUnexported(Evidence{})); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
		})
	}
}

// A boot that is given is right, whatever there is.
func TestFixedLife(t *testing.T) {
	l := NewLife(LifeConfig{Fixed: ID{1, 2}})
	l.Continue(Past{Known: true, ID: ID{3}})
	if changed := l.Settle(firstPlace()); changed || l.String() != "0102000000000000" || l.Pool() != "supernats" {
		t.Errorf("changed %v, boot %v, pool %q", changed, l, l.Pool())
	}
}
