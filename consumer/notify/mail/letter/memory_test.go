package letter

import (
	"regexp"
	"testing"

	"supernats/consumer/notify/mail/lettertest"
)

func TestTemplatesSeeTheLastLife(t *testing.T) {
	m := writeBy(t, lettertest.HungryBatch(), func(c *keys) {
		c.Text = `{{len .Alerts}}:{{"\n"}}{{range .Alerts}}{{range .Events}}{{.Name}}: {{.Reason}}{{with .Exit.OOM}}, {{.Cgroup}} had {{bytes .Limit}}{{end}}` +
			`{{if .Ran}}, {{duration .Ran}}{{end}}{{with .Last}}, {{bytes .RSS}} {{.Threads}}{{end}} {{.Exit.Source}}{{"\n"}}{{end}}{{end}}`
	})
	want := "3:\nimporter: SIGKILL, out of memory at 2.0 of 2 GiB, /system.slice/supervisor.service had 2.0 GiB, 52h4m, 1.9 GiB 9 pidfd\n" +
		"api:api_00: exit code 3, 250ms, 1.9 GiB 9 \n" +
		"api:api_00: SIGKILL \n"
	if m.Text != want {
		t.Errorf("text:\n%s\nwant:\n%s", m.Text, want)
	}

	// One that takes it for granted is refused when the file is read.
	for source, wrong := range map[string]string{
		`{{range .Alerts}}{{range .Events}}{{.Exit.OOM.Limit}}{{end}}{{end}}x`:  "nil pointer evaluating .*; {{with }} asks first",
		`{{range .Alerts}}{{range .Events}}{{.Last.RSS}}{{end}}{{end}}x`:        "nil pointer evaluating .*; {{with }} asks first",
		`{{range .Alerts}}{{range .Events}}{{bytes .Reason}}{{end}}{{end}}x`:    "want a number of bytes",
		`{{range .Alerts}}{{range .Events}}{{.Exit.Memory}}{{end}}{{end}}x`:     "can't evaluate field Memory",
		`{{range .Alerts}}{{range .Events}}{{.Exit.OOM.Usage}}{{end}}{{end}}xx`: "can't evaluate field Usage",
	} {
		_, err := keys{Text: source}.parse()
		if err == nil || !regexp.MustCompile(`text: line 1.*`+wrong).MatchString(err.Error()) {
			t.Errorf("%s: %v, want %q", source, err, wrong)
		}
	}
}
