package fleet

import (
	"fmt"
	"time"

	"supernats/schema"
)

// noon is the time of the tests without a server.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fixture is a model to fill, and to look at.
type fixture struct{ *model }

func newFixture() fixture { return fixture{newModel()} }

// put takes in records, as a bucket would hand them over.
func (f fixture) put(records ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range records {
		switch r := r.(type) {
		case *schema.ProcessRecord:
			f.setProcess(r)
		case *schema.HostRecord:
			f.setHost(r)
		case *schema.Alert:
			f.setAlert(r)
		case *schema.Mute:
			f.setMute(r)
		default:
			panic(fmt.Sprintf("%T is no record", r))
		}
	}
}

func process(host, group, name, state string) *schema.ProcessRecord {
	return &schema.ProcessRecord{
		Host: host, Group: group, Process: name, State: state, Since: schema.Time{Time: noon}, Boot: "4f0c6d1e2a90b7c3",
	}
}

func host(name string, seen time.Time) *schema.HostRecord {
	return &schema.HostRecord{Host: name, Boot: "4f0c6d1e2a90b7c3", LastSeen: schema.Time{Time: seen}, Running: 1}
}

func alert(rule, severity, host string) *schema.Alert {
	return &schema.Alert{
		Incident: rule + "@" + host, Rule: rule, Severity: severity, Host: host, Group: "api", Process: "api_00",
		Phase: schema.PhaseFiring, Opened: schema.Time{Time: noon},
	}
}

// crowd fills a model with hosts of 20 processes each.
func crowd(hosts int) *model {
	m := newModel()
	for i := range hosts {
		name := fmt.Sprintf("web%05d.example.com", i)
		m.setHost(host(name, noon))
		for j := range 20 {
			m.setProcess(process(name, "api", fmt.Sprintf("api_%02d", j), schema.StateRunning))
		}
	}
	return m
}
