package chaos

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/notify/mail/smtptest"
)

// mailed is a crash as a mail reports it: whose, and when to the millisecond. All
// processes here are called crash_ and a number, whatever their host and group.
type mailed struct{ process, time string }

func mailedAt(process string, at time.Time) mailed {
	return mailed{process, at.UTC().Format("2006-01-02 15:04:05.000 MST")}
}

var (
	crashName = regexp.MustCompile(`crash_\d+`)
	timeText  = `(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC)`
	rowOf     = regexp.MustCompile(`(?m)^ +Process +(crash_\d+)$`)
	rowTime   = regexp.MustCompile(`^ +Time +` + timeText)
	headOf    = regexp.MustCompile(`^ \* .*?(crash_\d+)`)
	listed    = regexp.MustCompile(`^   ` + timeText)
)

// crashesIn returns the crashes that a mail of ours tells: in its rows if it is
// about one, in its lists if there are more.
func crashesIn(m smtptest.Mail) map[mailed]bool {
	all := map[mailed]bool{}
	whose := ""
	if row := rowOf.FindStringSubmatch(m.Text); row != nil {
		whose = row[1] // the list of its events stands before its rows
	}
	for line := range strings.Lines(m.Text) {
		line = strings.TrimSuffix(line, "\n")
		at, of := "", whose
		if row := headOf.FindStringSubmatch(line); row != nil {
			whose = row[1]
		} else if strings.HasPrefix(line, " * ") {
			whose = ""
		} else if row := rowTime.FindStringSubmatch(line); row != nil {
			at = row[1]
		} else if row := listed.FindStringSubmatch(line); row != nil {
			at = row[1]
			if name := crashName.FindString(line); name != "" {
				of = name
			}
		}
		if at != "" && of != "" {
			all[mailed{of, at}] = true
		}
	}
	return all
}

func messageID(m smtptest.Mail) string { return m.Header.Get("Message-Id") }

func TestCrashesIn(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []mailed
	}{
		{name: "one", text: `
api:crash_001 on web1 exited unexpectedly (exit code 3).

  Since  2026-11-21 18:00:31.833 UTC

    2026-11-21 19:00:30.000 UTC last words of crash_009

  Process      crash_001
  Time         2026-11-21 19:00:31.833 UTC (10m ago)
  Event        PROCESS_STATE_EXITED
`, want: []mailed{{"crash_001", "2026-11-21 19:00:31.833 UTC"}}},
		{name: "more of one", text: `
Since the last mail:

   2026-11-21 19:00:30.833 UTC (1m ago): exit code 3
   2026-11-21 19:00:31.833 UTC: exit code 3

  Process      crash_001
  Time         2026-11-21 19:00:31.833 UTC
`, want: []mailed{{"crash_001", "2026-11-21 19:00:30.833 UTC"}, {"crash_001", "2026-11-21 19:00:31.833 UTC"}}},
		{name: "several", text: `
  Notifications  2: 2 firing

 * api:crash_001 on web1 exited unexpectedly (exit code 3)
   2026-11-21 19:00:31.833 UTC (3m ago)
 * api:crash_002 on web1 has recovered, since 2026-11-21 19:00:00.833 UTC
   2026-11-21 19:00:31.873 UTC (3m ago): exit code 3
 * group api on web1: alert quorum
   2026-11-21 19:00:31.973 UTC (3m ago): api:crash_003 on web1 exit code 3
`, want: []mailed{{"crash_001", "2026-11-21 19:00:31.833 UTC"}, {"crash_002", "2026-11-21 19:00:31.873 UTC"}, {"crash_003", "2026-11-21 19:00:31.973 UTC"}}},
		{
			name: "none",
			text: "\n  Until  2026-11-21 19:00:31.833 UTC\n  Process  crash_001\n  Closed  2026-11-21 19:00:31.833 UTC\n",
			want: nil,
		},
	} {
		got := slices.SortedFunc(maps.Keys(crashesIn(smtptest.Mail{Text: c.text})), func(a, b mailed) int {
			return strings.Compare(a.process+a.time, b.process+b.time)
		})
		if d := cmp.Diff(c.want, got, cmp.AllowUnexported(mailed{})); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}
