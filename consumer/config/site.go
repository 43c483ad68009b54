package config

import (
	"fmt"

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
	p.addSection("web", c.Web.Check())
	for i, name := range c.Compat {
		if name != CompatNodeExporter {
			p.add(fmt.Sprintf("compat[%d]", i), "invalid value %q: want %s", name, CompatNodeExporter)
		}
	}
}

func (p *problems) checkWatchdogs(c *Config) {
	names := map[string]bool{}
	for _, r := range c.AllReceivers() {
		if r.Alertmanager != nil && r.Alertmanager.Watchdog {
			names[r.Name] = true
		}
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
