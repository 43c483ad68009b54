package config

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"supernats/consumer/web/site"
)

// CompatNodeExporter in `compat` adds the metrics of node_exporter's collector of
// supervisord.
const CompatNodeExporter = "node_exporter"

// Site returns under which addresses the pages are, and what they may do.
func (c *Config) Site() *site.Site {
	s := &site.Site{Settings: c.Web, WebConfig: c.WebConfig}
	if c.ExternalURL != "" {
		s.External, _ = site.ParseExternal(c.ExternalURL) // checkSite has seen it
	}
	s.Prefix = site.CleanPrefix(c.RoutePrefix, s.External)
	return s
}

func (p *problems) checkSite(c *Config) {
	if c.ExternalURL != "" {
		_, err := site.ParseExternal(c.ExternalURL)
		p.addSection("external_url", err)
	}
	key := "route_prefix"
	if c.RoutePrefix == "" {
		key = "external_url"
	}
	p.addSection(key, site.CheckPrefix(c.Site().Prefix))
	p.addSection("web", c.Web.Check())
	for i, name := range c.Compat {
		if name != CompatNodeExporter {
			p.add(fmt.Sprintf("compat[%d]", i), "invalid value %q: want %s", name, CompatNodeExporter)
		}
	}
}

func (p *problems) checkWatchdogs(c *Config) {
	names := map[string]bool{}
	for _, r := range c.AlwaysFiring() {
		names[r.Name] = true
	}
	for i, w := range c.Watchdog {
		at := fmt.Sprintf("watchdog[%d]", i)
		p.addSection(at, w.WithDefaults().Validate())
		if names[w.Name] {
			p.add(at+".name", "duplicate name %q: another watchdog, or a receiver with one, has it", w.Name)
		}
		names[w.Name] = true
	}
}

// OpenPage says that others than this machine can look at the pages without a password, and
// how to change that; "" if they cannot.
func (c *Config) OpenPage() (text, fix string) {
	where := c.Site()
	if c.Listen == "" || isLoopback(c.Listen) || where.NeedsLogin() {
		return "", ""
	}

	may := "see the fleet"
	if len(where.Settings.Allow) > 0 {
		may += ", and change what web.allow lists (" + strings.Join(where.Settings.Allow, ", ") + ")"
	}
	return "everybody who reaches " + c.Listen + " (listen) can " + may + ": it wants no password",
		"give it users in the file web_config, or listen on 127.0.0.1 behind a proxy that asks for one"
}

// isLoopback reports whether an address, which was checked, is reached from this machine
// only.
func isLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.Unmap().IsLoopback()
}
