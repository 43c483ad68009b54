package alertcmd

import (
	"strings"
	"testing"

	"supernats/schema"
)

func TestNamed(t *testing.T) {
	alerts := []*schema.Alert{
		{Incident: "fatal/web1/b/1", Rule: "fatal", Host: "web1", Group: "api", Process: "api_00"},
		{Incident: "fatal/web10/b/1", Rule: "fatal", Host: "web10", Group: "api", Process: "api_00"},
		{Incident: "fatal/web10/b/12", Rule: "fatal", Host: "web10", Group: "api", Process: "api_01"},
		{Incident: "loss/web1/b/7", Rule: "loss", Host: "web1"},
	}
	for _, c := range []struct{ given, want string }{
		{given: "web2"},
		{given: "fatal/web1/b/1/"},
		{given: "fatal/web10/b/1", want: "fatal/web10/b/1"},
		{given: "web10/b/1", want: "fatal/web10/b/1"},
		{given: "web10/b", want: "fatal/web10/b/1 fatal/web10/b/12"},
		{given: "web10/b/", want: "fatal/web10/b/1 fatal/web10/b/12"},
		{given: "web1", want: "fatal/web1/b/1 loss/web1/b/7"},
		{given: "fatal/web1", want: "fatal/web1/b/1"},
		{given: "loss", want: "loss/web1/b/7"},
		{given: "lo", want: "loss/web1/b/7"},
		{given: "web1/api:api_00", want: "fatal/web1/b/1"},
		{given: "api:api_01", want: "fatal/web10/b/12"},
		{given: "fatal/web10/api:api_01", want: "fatal/web10/b/12"},
	} {
		var got []string
		for _, a := range named(c.given, alerts) {
			got = append(got, a.Incident)
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%q: %q, want %q", c.given, got, c.want)
		}
	}
}
