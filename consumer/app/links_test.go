package app

import (
	"strings"
	"testing"

	"supernats/consumer/fleettest"
)

// What external_url says is in the links that people get, and they lead to what is notified.
func TestNotificationsLinkThePage(t *testing.T) {
	f := fleettest.New(t)
	hooks := newWebhooks(t)
	readyDaemon(t, loadText(t, `
nats: {url: "`+f.Server.URL+`"}
listen: ''
external_url: https://ops.example.com/sn
receivers: [{name: hook, webhook: {url: "`+hooks.serve("hook")+`"}}]
rules: [{name: exit, event: PROCESS_STATE_EXITED, expected: false, annotations: {runbook_url: "https://wiki.example.com/{{.Group}}"}}]
`))
	f.Publish(f.Crash())

	body := hooks.next("hook")
	for _, want := range []string{
		`"externalURL":"https://ops.example.com/sn/"`,
		`"generatorURL":"https://ops.example.com/sn/alerts/exit%2F`,
		`"silence_url":"https://ops.example.com/sn/mutes/new?group=api&host=web1&process=`,
		`"runbook_url":"https://wiki.example.com/api"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not in\n%s", want, body)
		}
	}
}
