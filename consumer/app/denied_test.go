package app

import (
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"supernats/consumer/fleettest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// deny gives a server two users, whose passwords are their names: all, and daemon, who may
// not publish to some subjects.
func deny(subjects ...string) func(*server.Options) {
	return func(o *server.Options) {
		denied := &server.Permissions{Publish: &server.SubjectPermission{Deny: subjects}}
		o.Users = []*server.User{
			{Username: "all", Password: "all"},
			{Username: "daemon", Password: "daemon", Permissions: denied},
		}
	}
}

// A right that the daemon does not have is in its log, as the rest is.
func TestRightThatIsMissing(t *testing.T) {
	s := streamtest.Start(t, deny("$KV."+stream.MutesBucket+".>"))
	f := fleettest.On(t, s, connectAs(t, s.URL, "all", "all"))
	if err := stream.EnsureAll(t.Context(), f.JS, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	d := runDaemon(t, loadText(t, "nats: {url: '"+as("daemon", s.URL)+"'}\nlisten: ''\n"))
	f.Until("the log says it", func() bool {
		return strings.Contains(d.log.String(), "nats: permissions violation")
	})
}
