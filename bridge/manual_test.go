package bridge_test

import (
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema/stream/streamtest"
)

var (
	manualRow  = regexp.MustCompile("(?m)^\\| (`[a-z_]+[{`].*) \\| ([a-z, ]+) \\| .*\\|$")
	manualName = regexp.MustCompile("`([a-z_]+)(?:\\{[^`]*\\})?`")
	scrapeType = regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`)
)

// manualMetrics are the metrics of the manual's table, with their types.
func manualMetrics(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| metric | type | meaning |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	if !found {
		t.Fatal("README.md has no table of metrics")
	}

	metrics := map[string]string{}
	for _, row := range manualRow.FindAllStringSubmatch(table, -1) {
		types := strings.Split(row[2], ", ") // one for all names of the row, or one for each
		for i, name := range manualName.FindAllStringSubmatch(row[1], -1) {
			metrics[name[1]] = types[min(i, len(types)-1)]
		}
	}
	return metrics
}

// The manual names all metrics that a bridge serves, and no others.
func TestManualNamesMetrics(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	address := freeAddress(t)
	section := conf(t, "--nats-url", nats.URL, "--listen", address)
	section = strings.Replace(section, "buffer_size=65536", "buffer_size=11", 1) // a trouble, which has metrics
	supervisordtest.Start(t, section)
	waitValue(t, address, `supernats_bridge_trouble{cause="section"}`, 1)
	waitValue(t, address, "supervisord_scrape_success", 1)

	_, text := get(t, "http://"+address+"/metrics")
	served := map[string]string{}
	for _, m := range scrapeType.FindAllStringSubmatch(text, -1) {
		served[m[1]] = m[2]
	}
	// Those of Go and of the process are named in the manual by their beginning.
	maps.DeleteFunc(served, func(name, _ string) bool {
		return strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_")
	})
	if diff := cmp.Diff(served, manualMetrics(t)); diff != "" {
		t.Errorf("metrics and their types (-served +README.md):\n%s", diff)
	}
}
