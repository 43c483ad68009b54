package schema_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"testing"
)

// arrow says what a package may import of this module and, if only is set, of
// others; everything else of this module is forbidden to it. Tests, and packages
// for tests, may import what they like.
type arrow struct {
	from string // regular expression of import paths below supernats/
	own  string // the same, of what it may import
	only string // the same, of modules of others; "" is any, "-" the standard library only
}

var arrows = []arrow{
	{`schema`, `schema/internal/.*`, `-`},
	{`schema/internal/.*`, `schema/internal/.*`, `-`},
	{`schema/codec`, `schema(/internal/.*)?`, `-`},
	{`schema/(stream|natsconn)`, `schema(/stream|/natsconn|/secretfile)?`, `github.com/(nats-io|synadia-io)/.*`},
	{`schema/(checkup|httplimit|secretfile)`, ``, `-`},
	{`schema/repeat`, ``, `github.com/rs/zerolog`},
	{`schema/program`, `schema/natsconn|schema/program/manpage`, ``},
	{`schema/program/manpage`, ``, `github.com/alecthomas/kong`},

	{`bridge`, `schema.*|bridge/.*`, ``},
	{`bridge/cmd/.*`, `schema(/program(/manpage)?|/checkup)?|bridge(/eventlistener|/doctor|/listeners|/spool(/queue)?|/record|/section)?`, ``},
	{`bridge/eventlistener`, ``, `golang.org/x/sys/unix`},
	{`bridge/spool`, `bridge/spool/(files|marks|segment)`, `-`},
	{`bridge/spool/segment`, `bridge/spool/files`, `-`},
	{`bridge/spool/marks`, `bridge/spool/files`, `-`},
	{`bridge/spool/queue`, `bridge/spool(/files)?`, `-`},
	{`bridge/spool/files`, ``, `-`},
	{`bridge/publish`, `schema.*|bridge/publish/.*`, ``},
	{`bridge/publish/ids`, ``, `github.com/nats-io/.*`},
	{`bridge/publish/headers`, `bridge/publish/(ids|refusal)`, `github.com/nats-io/.*`},
	{`bridge/publish/acks`, ``, `github.com/nats-io/.*`},
	{`bridge/publish/refusal`, `schema/natsconn`, `github.com/nats-io/.*`},
	{`bridge/publish/aside`, `schema(/stream)?|bridge/publish/refusal`, ``},
	{`bridge/publish/rivals`, `schema`, `github.com/rs/zerolog`},
	{`bridge/ledger`, `schema`, `-`},
	// A record holds an event's header line, and its messages are made for a publisher.
	{`bridge/record`, `schema(/codec|/stream)?|bridge/(eventlistener|publish)`, ``},
	// The facts of a death come from the kernel by three ways, and go into a record.
	{`bridge/deaths`, `schema(/repeat)?|bridge/(eventlistener|record|deathwatch|oom|look)`, ``},
	// The journal joins the account, the records and the spool under one lock.
	{`bridge/journal`, `schema(/repeat)?|bridge/(boot|eventlistener|ledger|proctable|record|spool(/queue)?)`, ``},
	// The section is one of supervisord's configuration.
	{`bridge/section`, `schema(/repeat)?|bridge/supervisordconf`, ``},
	{`bridge/deathreason`, `schema|bridge/deathreason/.*`, ``},
	{`bridge/deathreason/ownlog`, `schema`, `-`},
	{`bridge/deathreason/replay`, `schema|bridge/deathreason/ownlog`, `-`},
	{`bridge/deathreason/programlog`, `schema(/codec)?|bridge/deathreason/ownlog`, `github.com/prometheus/procfs`},
	// The doctor knows what a section should be, and asks supervisord and the kernel.
	{`bridge/doctor`, `schema.*|bridge/(access|daemons|deathwatch|listeners|section|spool/(files|queue)|spooldir|supervisord|supervisordconf)`, ``},
	{`bridge/listeners`, `schema(/natsconn)?|bridge/(access|daemons|supervisordconf)`, ``},
	{`bridge/daemons`, `bridge/supervisordconf`, `-`},
	{`bridge/access`, `schema/checkup`, `golang.org/x/sys/unix`},
	{`bridge/supervisordconf`, ``, `-`},
	{`bridge/[^/]*`, `schema.*`, ``}, // siblings never import each other

	{`consumer`, `schema(/codec|/stream|/repeat)?`, ``},
	{`consumer/rules`, `schema|consumer/(wording|templating)`, ``},
	{`consumer/state(/lives)?`, `schema|consumer/(crashes|state/lives)`, `-`},
	{`consumer/alerts(/.*)?`, `schema|consumer/(rules|crashes)|consumer/alerts(/.*)?`, ``},
	{`consumer/(wording|templating|crashes)`, `schema`, `-`},
	{`consumer/notify/link`, `schema|consumer/(notify|web/site)`, `-`},
	{`consumer/notify/post`, `schema(/secretfile)?|consumer/(notify|wording)`, `-`},
	{
		`consumer/notify(/.*)?`,
		`schema(/secretfile)?|consumer/(wording|templating)|consumer/notify(/link|/post|/mail/(letter(/custom)?|summary))?`, ``,
	},
	{`consumer/health`, `schema/repeat`, ``},
	{`consumer/service`, `consumer/health`, ``},
	{`consumer/fleet`, `schema(/stream)?|consumer/(health|inspect|state)`, ``},
	{`consumer/metrics`, `schema|consumer/(fleet|inspect|notify|state)`, ``},
	{`consumer/timeline`, `schema|consumer/(history|inspect|wording)`, ``},
	{`consumer/watchdog`, `schema(/secretfile)?|consumer/(health|notify(/post)?)`, ``},
	{`consumer/acknowledge`, `schema(/stream)?|consumer/inspect`, ``},
	{`consumer/web`, `schema/httplimit|consumer/(health|web/site)`, ``},
	{`consumer/web/live`, `consumer/(fleet|web/site)`, `-`},
	{`consumer/web/feed`, `schema(/stream)?|consumer|consumer/(health|history)`, ``},
	{`consumer/web/page/shared`, ``, ``},
	{`consumer/web/page/assets`, ``, `-`},
	{`consumer/web/page/look`, `schema|consumer/(fleet|history|inspect|state|timeline|web/site|wording)`, `-`},
	{`consumer/web/page/action`, `schema(/stream)?|consumer/(acknowledge|fleet|inspect|silences|web/(site|page/look))`, ``},
	{`consumer/web/page`, `schema(/stream)?|consumer(/(fleet|history|inspect|timeline|web/(feed|live|site|page/.*)|wording))?`, ``},
	{`consumer/web/api`, `schema(/stream)?|consumer|consumer/(acknowledge|fleet|history|inspect|silences|timeline|web/site)`, ``},
	{`consumer/web/site`, `schema`, `github.com/goccy/go-yaml`},
	{`consumer/keeper`, `schema/stream|consumer/health`, ``},
	{`consumer/fit`, `schema`, `-`},
	{`consumer/records`, `schema(/stream|/repeat)?|consumer/fit`, ``},
	{`consumer/config/strict`, ``, `github.com/goccy/go-yaml.*`},
	{`consumer/config`, `schema.*|consumer/(config/strict|embedded|rules|state|notify.*|watchdog|web/site)`, ``},
	{`consumer/(embedded|lease)`, `schema.*|consumer/health`, ``},
	{`consumer/source`, `schema/stream|consumer(/records)?`, ``},
	{`consumer/silences`, `schema(/stream)?`, ``},
	{`consumer/outbox`, `schema(/stream)?|consumer/(alerts|fit|health|source)`, ``},
	{`consumer/deliver/inbox`, `schema(/stream)?|consumer/(fit|health|records|source)`, ``},
	{`consumer/deliver`, `schema(/stream|/repeat)?|consumer(/(deliver/inbox|health|lease|notify))?`, ``},
	{`consumer/intake/machine`, `schema|consumer(/(alerts|fit|notify|rules|state))?`, ``},
	{
		`consumer/intake`,
		`schema(/stream|/repeat)?|consumer(/(alerts|health|intake/machine|outbox|records|rules|silences|source|state))?`,
		``,
	},
	{`consumer/app`, `schema.*|consumer.*`, ``},
	{`consumer/terminal`, `schema|consumer/wording`, ``},
	{`consumer/history`, `schema(/stream)?|consumer(/state)?`, ``},
	{`consumer/(inspect|testalert)`, `schema(/stream)?|consumer(/history|/inspect|/rules|/state|/wording)?`, ``},
	{`consumer/doctor`, `schema(/stream|/checkup)?|consumer(/inspect|/state|/wording)?`, ``},
	// Commands stand on the frame, and never on each other.
	{`consumer/cmd/supernats/frame`, `schema(/natsconn)?|consumer|consumer/(config|history|inspect|terminal)`, ``},
	{
		`consumer/cmd/supernats/[a-z]+cmd`,
		`schema(/checkup|/program|/stream)?|consumer(/acknowledge|/config|/doctor|/fleet|/history|/inspect|/intake|/silences|/state|/terminal|/testalert|` +
			`/timeline|/wording|/cmd/supernats/(frame|tables|trial))?`,
		``,
	},
	{`consumer/cmd/.*`, `schema.*|consumer|consumer/(app|config|doctor|history|inspect|intake|state|terminal|testalert|timeline|wording|cmd/.*)`, ``},
	{`consumer/chaos`, ``, ``}, // nothing but tests
	{`examples/.*`, `.*`, ``},
}

// forTests are packages that only tests and examples use.
var forTests = regexp.MustCompile(`test$`)

func TestArrows(t *testing.T) {
	const module = "supernats/"
	c := exec.Command("go", "list", "-json=ImportPath,Imports", "supernats/...")
	out, err := c.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := 0
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if forTests.MatchString(p.ImportPath) {
			continue
		}
		from := strings.TrimPrefix(p.ImportPath, module)
		a, ok := arrowOf(from)
		if !ok {
			t.Errorf("package %s is in no place of the layout", from)
			continue
		}
		seen++
		for _, to := range p.Imports {
			own, isOwn := strings.CutPrefix(to, module)
			switch {
			case isOwn && forTests.MatchString(to) && !strings.HasPrefix(from, "examples/"):
				t.Errorf("%s imports %s, which is for tests", from, own)
			case isOwn && !matches(a.own, own) && !forTests.MatchString(to):
				t.Errorf("%s imports %s; allowed are %q", from, own, a.own)
			case !isOwn && a.only != "" && strings.Contains(first(to), ".") && !matches(a.only, to):
				t.Errorf("%s imports %s; allowed are %q", from, to, a.only)
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d packages were looked at", seen)
	}
}

func arrowOf(from string) (arrow, bool) {
	for _, a := range arrows {
		if matches(a.from, from) {
			return a, true
		}
	}
	return arrow{}, false
}

func matches(pattern, s string) bool {
	return regexp.MustCompile("^(?:" + pattern + ")$").MatchString(s)
}

func first(p string) string {
	for path.Dir(p) != "." {
		p = path.Dir(p)
	}
	return p
}
