package letter

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"supernats/schema"
)

func TestTemplates(t *testing.T) {
	list := append(storm(2), recovered("web1", "api", "api", 270*time.Second, 17))
	m := writeBy(t, list, func(c *keys) {
		c.Subject = "{{.Kind}} of {{len .Alerts}}: {{.Firing}} firing,\n {{.Resolved}} resolved"
		c.Text = "{{range .Alerts}}{{.Kind}} {{.Who}}: {{.Sentence}}\n{{range .Events}}- {{.Time}} {{.Name}} {{.Reason}}\n{{end}}{{end}}"
		c.HTML = `<p>{{.Subject}}</p>{{range .Alerts}}<b title={{.Who}}>{{.Open | default "?"}}</b>{{end}}`
	})
	if got, want := m.Subject, "digest of 3: 2 firing, 1 resolved"; got != want {
		t.Errorf("subject %q, want %q", got, want)
	}
	want := `firing worker:worker_000 on web1: worker:worker_000 on web1 exited unexpectedly (exit code 1)
- 2026-11-21 19:00:31.833 UTC worker:worker_000 exit code 1
firing worker:worker_001 on web2: worker:worker_001 on web2 exited unexpectedly (exit code 2)
- 2026-11-21 19:00:31.843 UTC worker:worker_001 exit code 2
resolved api on web1: api on web1 has recovered: open for 4m30s, 17 events
`
	if m.Text != want {
		t.Errorf("text:\n%s\nwant:\n%s", m.Text, want)
	}
	if !strings.HasPrefix(m.HTML, "<p>[supervisor] CRITICAL worker_000, worker_001 exited unexpectedly (1 resolved)</p><b title=worker:worker_000&#32;on&#32;web1>1s</b>") {
		t.Errorf("html: %s", m.HTML)
	}
	// What is not given is supernats' own.
	m = writeBy(t, list, func(c *keys) { c.Subject = "x" })
	mustContain(t, m.Text, "2 processes on 2 hosts exited unexpectedly (and 1 resolved).\n", "api on web1 has recovered")
	if m.Subject != "x" {
		t.Errorf("subject %q", m.Subject)
	}
}

// TestTemplatesHostile: what templates see cannot harm either.
func TestTemplatesHostile(t *testing.T) {
	const evil = "x\r\nBcc: victim@example.org\r\n\r\n<script>alert(1)</script>"
	n := firing(func(a *schema.Notification) {
		a.Host, a.Group, a.Process, a.Rule, a.Severity, a.Incident = evil, evil, evil, evil, evil, evil
		a.Labels, a.Annotations = map[string]string{"team": evil}, map[string]string{"summary": evil, "description": evil}
		a.Events[0].Exit, a.Events[0].Log = &schema.Exit{SpawnErr: evil}, &schema.Log{Stderr: evil}
	})
	m := writeBy(t, batch(n), func(c *keys) {
		c.Subject = "{{range .Alerts}}{{.Host}} {{.Sentence}} {{index .Labels \"team\"}}{{end}}"
		c.Text = "{{range .Alerts}}{{.}}{{end}}"
		c.HTML = "{{range .Alerts}}<p>{{.}}</p>{{end}}"
	})
	if strings.Contains(m.HTML, "<script>") || strings.Contains(m.Text, "\nBcc: victim@example.org\n\n") {
		t.Errorf("%s\n%s", m.Text, m.HTML)
	}
}

// TestTemplateFails: a template that passed the samples and fails on a real
// alert must not keep the alert from being reported.
func TestTemplateFails(t *testing.T) {
	n := firing(func(a *schema.Notification) { a.Host = "web66" })
	fails := `{{range .Alerts}}{{if eq .Host "web66"}}{{index .Events 7}}{{end}}{{end}}x`
	for key, change := range map[string]func(*keys){
		"subject": func(c *keys) { c.Subject = fails },
		"text":    func(c *keys) { c.Text = fails },
		"html":    func(c *keys) { c.HTML = fails },
	} {
		t.Run(key, func(t *testing.T) {
			m := writeBy(t, batch(n), func(c *keys) { change(c) })
			if got, want := m.Subject, "[supervisor] CRITICAL web66 api:api_00 exited unexpectedly (exit code 3)"; got != want {
				t.Errorf("subject %q, want %q", got, want)
			}
			mustContain(t, m.Text, "api:api_00 on web66 exited unexpectedly (exit code 3).\n", "  Template     "+key+": line 1, column ", "out of range")
			mustContain(t, m.HTML, key+": line 1, column ")
		})
	}
}

// TestTemplatesSeeNoSecrets prints all that templates see.
func TestTemplatesSeeNoSecrets(t *testing.T) {
	const secret = "correct horse"
	t.Setenv("SUPERNATS_TEST_SECRET", secret)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	d := newData(newReport(storm(2)), identity, happened)
	if all := fmt.Sprintf("%+v %#v", d, d); strings.Contains(all, secret) {
		t.Errorf("templates see %s", all)
	}
	// No function of theirs opens anything.
	for _, source := range []string{
		`{{env "SUPERNATS_TEST_SECRET"}}`, `{{expandenv "$SUPERNATS_TEST_SECRET"}}`, `{{getenv "SUPERNATS_TEST_SECRET"}}`,
		fmt.Sprintf(`{{readFile %q}}`, file), fmt.Sprintf(`{{template %q}}`, file),
	} {
		if _, err := (keys{Text: source}).parse(); err == nil {
			t.Errorf("%s is taken", source)
		}
	}
}
