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

// told is a crash as a mail tells it: whose, and when to the millisecond. All
// processes here are called crash_ and a number, whatever their host and group.
type told struct{ process, time string }

func toldOf(process string, at time.Time) told {
	return told{process, at.UTC().Format("2006-01-02T15:04:05.000Z")}
}

var (
	crashName = regexp.MustCompile(`crash_\d+`)
	timeText  = `(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)`
	rowOf     = regexp.MustCompile(`^ +Process +(crash_\d+)$`)
	rowTime   = regexp.MustCompile(`^ +Time +` + timeText)
	listed    = regexp.MustCompile(`^ +` + timeText + ` .*PROCESS_STATE_EXITED`)
)

// crashesIn returns the crashes that a mail of ours tells: in its rows if it is
// about one, in its lists if there are more.
func crashesIn(m smtptest.Mail) map[told]bool {
	all := map[told]bool{}
	whose := ""
	for line := range strings.Lines(m.Text) {
		line = strings.TrimSuffix(line, "\n")
		at, of := "", whose
		if row := rowOf.FindStringSubmatch(line); row != nil {
			whose = row[1]
		} else if row := rowTime.FindStringSubmatch(line); row != nil {
			at = row[1]
		} else if row := listed.FindStringSubmatch(line); row != nil {
			at = row[1]
			if name := crashName.FindString(line); name != "" {
				of = name
			}
		}
		if at != "" && of != "" {
			all[told{of, at}] = true
		}
	}
	return all
}

func messageID(m smtptest.Mail) string { return m.Header.Get("Message-Id") }

func TestCrashesIn(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []told
	}{
		{"one", `
api:crash_001 on web1 exited unexpectedly (exit code 3).

  Process      crash_001
  Time         2026-11-21T19:00:31.833Z (10m before this mail)
  Event        PROCESS_STATE_EXITED
  Open since   2026-11-21T18:00:31.833Z

    2026-11-21T19:00:30.000Z last words of crash_009
`, []told{{"crash_001", "2026-11-21T19:00:31.833Z"}}},
		{"more of one", `
  Process      crash_001
  Time         2026-11-21T19:00:31.833Z

Since the last mail:

  2026-11-21T19:00:30.833Z  PROCESS_STATE_EXITED  exit code 3  web1/4f0c6d1e2a90b7c3/61000
  2026-11-21T19:00:31.833Z  PROCESS_STATE_EXITED  exit code 3  web1/4f0c6d1e2a90b7c3/61001
`, []told{{"crash_001", "2026-11-21T19:00:30.833Z"}, {"crash_001", "2026-11-21T19:00:31.833Z"}}},
		{"several", `
  Notifications  2: 2 firing

  2026-11-21T19:00:31.833Z  web1  api:crash_001  PROCESS_STATE_EXITED  exit code 3
 * api:crash_002 on web1 has recovered, since 2026-11-21T19:00:00.833Z
   2026-11-21T19:00:31.873Z  web1  api:crash_002  PROCESS_STATE_EXITED  exit code 3
`, []told{{"crash_001", "2026-11-21T19:00:31.833Z"}, {"crash_002", "2026-11-21T19:00:31.873Z"}}},
		{"none", "\n  Process  crash_001\n  Closed  2026-11-21T19:00:31.833Z\n", nil},
	} {
		got := slices.SortedFunc(maps.Keys(crashesIn(smtptest.Mail{Text: c.text})), func(a, b told) int {
			return strings.Compare(a.process+a.time, b.process+b.time)
		})
		if d := cmp.Diff(c.want, got, cmp.AllowUnexported(told{})); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}
