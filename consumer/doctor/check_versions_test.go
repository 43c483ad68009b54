package doctor

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/schema"
)

// Each bridge that runs is compared, whatever version the record of its host has: a host
// has one for each section of each supervisord.
func TestVersionOfEachBridge(t *testing.T) {
	now := time.Now()
	seen := schema.Time{Time: now}
	const fix = " [install supernats-bridge v1.2.3 there, then: supervisorctl restart "
	bridge := func(boot, pool, version string) schema.HostBridge {
		return schema.HostBridge{Pool: pool, Server: "system-" + boot, Boot: boot, Version: version, LastSeen: seen}
	}
	stopped := func(b schema.HostBridge) schema.HostBridge {
		b.Stopped = &seen
		return b
	}
	host := func(name, recorded string, bridges ...schema.HostBridge) schema.HostRecord {
		return schema.HostRecord{
			Host: name, Boot: "a", BridgeVersion: recorded, LastSeen: seen, Bridges: bridges,
			Lives: []schema.HostLife{
				{Boot: "z", LastSeen: seen, Ended: &seen},
				{Boot: "a", LastSeen: seen},
				{Boot: "b", LastSeen: seen},
			},
		}
	}

	for name, c := range map[string]struct {
		hosts []schema.HostRecord
		want  []string
	}{
		"one of two sections": {
			hosts: []schema.HostRecord{
				host("web1", version, bridge("a", "supernats", version), bridge("a", "supernats-logs", "v1.0.0")),
			},
			want: []string{
				"warn bridge v1.0.0, not v1.2.3, on 1 host: web1 (section supernats-logs)" + fix + "supernats-logs]",
			},
		},
		"one of two supervisords": {
			hosts: []schema.HostRecord{
				host("web1", version, bridge("a", "supernats", version), bridge("b", "supernats", "v1.0.0")),
			},
			want: []string{
				"warn bridge v1.0.0, not v1.2.3, on 1 host: web1 (section supernats of its supervisord system-b)" +
					fix + "supernats]",
			},
		},
		"a newer bridge": {
			hosts: []schema.HostRecord{
				host("web1", version, bridge("a", "supernats", "v1.10.0"), bridge("b", "supernats", version)),
			},
			want: []string{
				"warn bridge v1.10.0, not v1.2.3, on 1 host: web1 (section supernats of its supervisord system-a)" +
					" [upgrade this `supernats`, and `supernats consume`, to v1.10.0]",
			},
		},
		"two other versions": {
			hosts: []schema.HostRecord{
				host("web1", version, bridge("a", "supernats", "v0.9.0"), bridge("a", "my logs", "v1.0.0")),
			},
			want: []string{
				"warn bridge v0.9.0, not v1.2.3, on 1 host: web1 (section supernats)" + fix + "supernats]",
				"warn bridge v1.0.0, not v1.2.3, on 1 host: web1 (section my logs)" + fix + "'my logs']",
			},
		},
		"all of two hosts": {
			hosts: []schema.HostRecord{
				host("web2", "v1.0.0", bridge("a", "supernats", "v1.0.0"), bridge("a", "supernats-logs", "v1.0.0")),
				host("web1", "v1.0.0", bridge("a", "supernats", "v1.0.0")),
			},
			want: []string{
				"warn bridge v1.0.0, not v1.2.3, on 2 hosts: web1, web2" + fix + "supernats supernats-logs]",
			},
		},
		"only that of the record": {
			hosts: []schema.HostRecord{host("web1", "v1.0.0")},
			want:  []string{"warn bridge v1.0.0, not v1.2.3, on 1 host: web1" + fix + "supernats]"},
		},
		"unknown": {
			hosts: []schema.HostRecord{host("web1", "", bridge("a", "supernats", ""))},
			want:  []string{"warn bridge of an unknown version, not v1.2.3, on 1 host: web1" + fix + "supernats]"},
		},
		"of a life that is over": {
			hosts: []schema.HostRecord{
				host("web1", version, bridge("z", "supernats", "v1.0.0"), bridge("a", "supernats", version)),
			},
			want: []string{"ok 1 host, all seen within SPAN"},
		},
		"stopped beside one that runs": {
			hosts: []schema.HostRecord{
				host("web1", version, bridge("a", "supernats", version), stopped(bridge("a", "logs", "v1.0.0"))),
			},
			want: []string{
				"warn host web1: section logs was stopped SPAN ago: nothing comes from it [supervisorctl start logs]",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, hostFindings(now, c.hosts...)); d != "" {
				t.Error(d)
			}
		})
	}
}
