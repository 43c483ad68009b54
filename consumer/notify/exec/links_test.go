package exec

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/notify"
	"supernats/consumer/notify/notifytest"
	"supernats/schema"
)

// links is what a command gets of the links: those of its input, and its variables.
type links struct {
	input     []map[string]string
	variables map[string]string
}

// linksOf runs a command with a batch.
func linksOf(t *testing.T, from notify.Identity, batch ...*notify.Notification) links {
	t.Helper()
	c, dir := script(t, `cat >"$1/got.1"; env >"$1/got.2"`)
	r, err := New("page", c.WithDefaults(), from)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Notify(t.Context(), batch); err != nil {
		t.Fatal(err)
	}

	files := got(t, dir)
	var list []map[string]any
	if err := json.Unmarshal(files[0], &list); err != nil {
		t.Fatal(err)
	}
	l := links{variables: map[string]string{}}
	for _, n := range list {
		found := map[string]string{}
		for name, value := range n {
			if s, ok := value.(string); ok && strings.HasSuffix(name, "url") {
				found[name] = s
			}
		}
		l.input = append(l.input, found)
	}
	for line := range strings.Lines(string(files[1])) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), "="); strings.HasSuffix(name, "URL") {
			l.variables[name] = value
		}
	}
	return l
}

func TestLinks(t *testing.T) {
	from := notify.Identity{Instance: "mon1", URL: "https://mon1.example.com/"}
	runbook := func(a *schema.Notification) {
		a.Annotations = map[string]string{"runbook": "https://wiki.example.com/$(id) x"}
	}
	a, b := notifytest.Firing("a", runbook), notifytest.Notification(schema.TypeAlertResolved, "b", 2)
	const silence = "https://mon1.example.com/mutes/new?group=api&host=web1&process=api_00&rule=unexpected-exit"
	inputA := map[string]string{
		"incidenturl": "https://mon1.example.com/alerts/a", "ackurl": "https://mon1.example.com/alerts/a#ack",
		"silenceurl": silence, "runbookurl": "https://wiki.example.com/$%28id%29%20x",
	}

	for _, c := range []struct {
		name  string
		from  notify.Identity
		batch []*notify.Notification
		want  links
	}{
		{name: "one incident", from: from, batch: []*notify.Notification{a}, want: links{
			input: []map[string]string{inputA},
			variables: map[string]string{
				"SUPERNATS_URL": from.URL, "SUPERNATS_INCIDENT_URL": inputA["incidenturl"], "SUPERNATS_ACK_URL": inputA["ackurl"],
				"SUPERNATS_SILENCE_URL": silence, "SUPERNATS_RUNBOOK_URL": inputA["runbookurl"],
			},
		}},
		{name: "two incidents, one is over", from: from, batch: []*notify.Notification{a, b}, want: links{
			input:     []map[string]string{inputA, {"incidenturl": "https://mon1.example.com/alerts/b"}},
			variables: map[string]string{"SUPERNATS_URL": from.URL},
		}},
		{name: "no external_url", batch: []*notify.Notification{b}, want: links{input: []map[string]string{{}}, variables: map[string]string{}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := linksOf(t, c.from, c.batch...)
			if diff := cmp.Diff(c.want.input, got.input); diff != "" {
				t.Errorf("input (-want +got):\n%s", diff)
			}
			if !maps.Equal(c.want.variables, got.variables) {
				t.Errorf("variables %q, want %q", got.variables, c.want.variables)
			}
		})
	}
}
