package embedded

import (
	"strings"
	"testing"

	"supernats/schema/natsconn/natsconntest"
)

// Without users the server is for this machine only, by every key and file.
func TestStaysLocalWithoutUsers(t *testing.T) {
	listen := func(address string, insecure bool) Config { return Config{Listen: address, Insecure: insecure} }
	file := func(text string) Config {
		return Config{Listen: "127.0.0.1:4222", Config: natsconntest.File(t, "nats-server.conf", text)}
	}
	for name, c := range map[string]struct {
		section Config
		host    string
		kept    string
	}{
		"listen":           {section: listen("0.0.0.0:4222", false), host: "127.0.0.1", kept: "0.0.0.0:4222"},
		"listen, IPv6":     {section: listen("[::]:4222", false), host: "127.0.0.1", kept: "[::]:4222"},
		"listen, insecure": {section: listen("0.0.0.0:4222", true), host: "0.0.0.0"},
		"loopback, IPv6":   {section: listen("[::1]:4222", false), host: "::1"},
		"a file":           {section: file("listen: 0.0.0.0:4333"), host: "127.0.0.1", kept: "0.0.0.0:4333"},
		"a file, port":     {section: file("port: 4333"), host: "127.0.0.1", kept: "0.0.0.0:4333"},
		"a file of limits": {section: file("max_payload: 2MB"), host: "127.0.0.1"},
		"a file of users": {
			section: file(`listen: "0.0.0.0:4333", authorization { user: a, password: b }`), host: "0.0.0.0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			settings := Settings{Section: c.section}
			user, err := newInProcessUser()
			if err != nil {
				t.Fatal(err)
			}
			o, kept, err := settings.options(user)
			if err != nil || o.Host != c.host || kept != c.kept {
				t.Errorf("it listens on %s, and not on %q: %v", o.Host, kept, err)
			}
			warned := strings.Join(settings.Warnings(), "\n")
			if (c.kept == "") != (warned == "") || !strings.Contains(warned, c.kept) {
				t.Errorf("warnings: %q", warned)
			}
			if address := c.section.Address(); c.kept != "" && !strings.HasPrefix(address, "nats://127.0.0.1:4") {
				t.Errorf("commands look for it at %s", address)
			}
		})
	}

	doors := Settings{Section: file("listen: 0.0.0.0:4222, http: 0.0.0.0:8222, websocket { port: 8080, no_tls: true }")}
	o, _, err := doors.options(nil)
	if err != nil || o.HTTPHost != loopback || o.Websocket.Host != loopback {
		t.Errorf("the other doors: %q %q, %v", o.HTTPHost, o.Websocket.Host, err)
	}
}

func TestConnectionsLeaveDescriptors(t *testing.T) {
	for have, want := range map[int]struct{ connections, pages int }{
		24:      {connections: 8, pages: 4},
		64:      {connections: 12, pages: 6},
		1024:    {connections: 492, pages: 246},
		1 << 20: {connections: maxConnections, pages: maxPageConnections},
	} {
		if n, pages := connections(have), pageConnections(have); n != want.connections || pages != want.pages {
			t.Errorf("of %d descriptors: %d connections, %d of pages", have, n, pages)
		}
	}
}
