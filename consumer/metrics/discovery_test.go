package metrics

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/fleet"
	"supernats/schema"
)

// A bridge that listens is found at the name of its host, or where it says that it listens.
func TestDiscovery(t *testing.T) {
	later := schema.Time{Time: noon.Add(time.Minute)}
	for _, c := range []struct {
		name    string
		host    string
		address string
		bridges []schema.HostBridge
		lives   []schema.HostLife
		want    []string
	}{
		{name: "on all addresses", bridges: []schema.HostBridge{{Listen: ":9876"}}, want: []string{"web1:9876"}},
		{name: "on all of IPv4", bridges: []schema.HostBridge{{Listen: "0.0.0.0:9876"}}, want: []string{"web1:9876"}},
		{name: "on all of IPv6", bridges: []schema.HostBridge{{Listen: "[::]:9876"}}, want: []string{"web1:9876"}},
		{name: "on one", bridges: []schema.HostBridge{{Listen: "[2001:db8::1]:9876"}}, want: []string{"[2001:db8::1]:9876"}},
		{name: "on a name", bridges: []schema.HostBridge{{Listen: "inside.example.com:9876"}}, want: []string{"inside.example.com:9876"}},
		{name: "on a service", bridges: []schema.HostBridge{{Listen: ":http"}}},
		{name: "on one interface", bridges: []schema.HostBridge{{Listen: "[fe80::1%eth0]:9876"}}},
		{name: "on IPv4 written as IPv6", bridges: []schema.HostBridge{{Listen: "[::ffff:192.0.2.7]:9876"}}, want: []string{"[::ffff:192.0.2.7]:9876"}},
		{name: "on all of IPv4, written as IPv6", bridges: []schema.HostBridge{{Listen: "[::ffff:0.0.0.0]:9876"}}, want: []string{"web1:9876"}},
		{name: "a host that has an address of IPv6 as its name", host: "2001:db8::5", bridges: []schema.HostBridge{{Listen: ":9876"}}, want: []string{"[2001:db8::5]:9876"}},
		{name: "a host that is called localhost", host: "localhost", address: "192.0.2.7", bridges: []schema.HostBridge{{Listen: ":9876"}}, want: []string{"192.0.2.7:9876"}},
		{name: "and nobody knows its address", host: "localhost.localdomain", bridges: []schema.HostBridge{{Listen: ":9876"}}, want: []string{"localhost.localdomain:9876"}},
		{name: "on a host whose name looks like an address with a port", host: "web1:80", address: "192.0.2.7", bridges: []schema.HostBridge{{Listen: ":9876"}}, want: []string{"192.0.2.7:9876"}},
		{name: "on loopback written as IPv6", bridges: []schema.HostBridge{{Listen: "[::ffff:127.0.0.1]:9876"}}},
		{name: "on loopback", bridges: []schema.HostBridge{{Listen: "127.0.0.1:9876"}, {Listen: "[::1]:9876"}, {Listen: "localhost:9876"}}},
		{name: "not at all", bridges: []schema.HostBridge{{}}},
		{name: "on a port that nobody knows", bridges: []schema.HostBridge{{Listen: ":0"}}},
		{name: "nonsense", bridges: []schema.HostBridge{{Listen: "a/b"}}},
		{name: "a host that is no name of DNS", host: "Büro 1", address: "192.0.2.7", bridges: []schema.HostBridge{{Listen: ":9876"}}, want: []string{"192.0.2.7:9876"}},
		{name: "and has no address either", host: "a/b", bridges: []schema.HostBridge{{Listen: ":9876"}}},
		{name: "two bridges", bridges: []schema.HostBridge{{Listen: ":9876", Pool: "a"}, {Listen: ":9877", Pool: "b"}}, want: []string{"web1:9876", "web1:9877"}},
		{name: "a second one on its port", bridges: []schema.HostBridge{{Listen: ":9876", Boot: "a"}, {Listen: ":9876", Boot: "b", LastSeen: later}}, want: []string{"web1:9876"}},
		{name: "stopped", bridges: []schema.HostBridge{{Listen: ":9876", Stopped: &noon}}},
		{name: "its supervisord has ended", bridges: []schema.HostBridge{{Listen: ":9876", Boot: "a"}}, lives: []schema.HostLife{{Boot: "a", Ended: &noon}}},
		{name: "its supervisord lives", bridges: []schema.HostBridge{{Listen: ":9876", Boot: "a"}}, lives: []schema.HostLife{{Boot: "a"}}, want: []string{"web1:9876"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := host("web1")
			if c.host != "" {
				h = host(c.host)
			}
			h.Address, h.Bridges, h.Lives = c.address, c.bridges, c.lives
			var got []string
			for _, one := range discover(t, h) {
				got = append(got, one.Targets...)
			}
			slices.Sort(got)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// A bridge that listens on loopback is found by a Prometheus on its machine alone.
func TestDiscoveryOfLoopback(t *testing.T) {
	for _, c := range []struct {
		name    string
		isLocal bool
		address string
		want    []string
	}{
		{name: "from elsewhere", address: "127.0.0.1"},
		{name: "of another machine", isLocal: true, address: "192.0.2.200"},
		{name: "of nobody knows where", isLocal: true},
		{name: "of this machine", isLocal: true, address: "127.0.0.1", want: []string{"127.0.0.1:9876", "localhost:9876"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := host("web1")
			h.Address = c.address
			h.Bridges = []schema.HostBridge{{Listen: "127.0.0.1:9876"}, {Listen: "localhost:9876"}}
			d := newDaemon(h)
			d.isLocal = c.isLocal
			var list []target
			if _, body := d.get(t, "/api/v1/sd", ""); json.Unmarshal([]byte(body), &list) != nil {
				t.Fatal(body)
			}
			var got []string
			for _, one := range list {
				got = append(got, one.Targets...)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func discover(t *testing.T, hosts ...*fleet.Host) (list []target) {
	t.Helper()
	answer, body := newDaemon(hosts...).get(t, "/api/v1/sd", "")
	if got := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || got != "application/json" {
		t.Fatalf("%d, Content-Type %s", answer.StatusCode, got)
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil || list == nil {
		t.Fatalf("%v: %s", err, body) // null is an error for Prometheus
	}
	return list
}

func TestLabelsOfATarget(t *testing.T) {
	h := host("web1")
	h.Address = "192.0.2.7"
	h.Bridges = []schema.HostBridge{{Listen: ":9876", Pool: "supernats", Server: "supervisor", Version: "v1.2.3", Scheme: "https"}}
	want := []target{{Targets: []string{"web1:9876"}, Labels: map[string]string{
		"__meta_supernats_host": "web1", "__meta_supernats_address": "192.0.2.7", "__meta_supernats_port": "9876",
		"__scheme__": "https", "__metrics_path__": "/metrics",
		"__meta_supernats_server": "supervisor", "__meta_supernats_pool": "supernats", "__meta_supernats_version": "v1.2.3",
	}}}
	if d := cmp.Diff(want, discover(t, h)); d != "" {
		t.Error(d)
	}
}

// A standby answers too. Before the hosts are known there is an error, after which
// Prometheus keeps what it has.
func TestDiscoveryBeforeTheRecordsWereRead(t *testing.T) {
	d := newDaemon()
	d.active = false
	if answer, body := d.get(t, "/api/v1/sd", ""); answer.StatusCode != http.StatusOK || strings.TrimSpace(body) != "[]" {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
	d.snapshot.Status = fleet.Status{Why: "the records have not been read yet"}
	if answer, body := d.get(t, "/api/v1/sd", ""); answer.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "not been read yet") {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
}
