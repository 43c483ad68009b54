package doctor

import (
	"strings"
	"testing"

	"supernats/bridge/listeners"
	"supernats/schema/checkup"
	"supernats/schema/natsconn"
	"supernats/schema/natsconn/natsconntest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// natsFindings are what the check nats finds with settings.
func natsFindings(t *testing.T, settings natsconn.Settings) []checkup.Finding {
	t.Helper()
	var list []checkup.Finding
	found := examine(t, "[supervisord]\n[eventlistener:supernats]\ncommand=/bin/supernats-bridge\nevents=EVENT\n", Options{
		ReadFlags: func([]string) (listeners.Flags, error) { return listeners.Flags{Host: "web1", NATS: settings}, nil },
	})
	for _, f := range found {
		if f.Check == "nats" {
			list = append(list, f)
		}
	}
	return list
}

// Whatever a server does not take, its cause and what to do about it are named; what it takes
// is none of the findings.
func TestRefusedByNATS(t *testing.T) {
	fixes := map[string]string{
		"password: another":                  "the server refuses the user or password of --nats-user ops",
		"password: nobody":                   "the server refuses a connection without credentials",
		"token: another":                     "the server refuses the token",
		"nkey: another":                      "the server refuses the nkey of --nats-nkey ",
		"creds: of another operator":         "the server refuses the credentials of --nats-creds ",
		"creds: a bare nkey":                 "the server refuses the nkey of --nats-nkey ",
		"creds: expired":                     ".creds have expired, at ",
		"TLS: nobody vouches for the server": "--nats-tls-ca names its authority",
		"TLS: another authority":             "--nats-tls-ca names its authority",
		"mutual TLS: no certificate":         "the server refuses the certificate of --nats-tls-cert, or wants one",
		"mutual TLS: of another authority":   "the server refuses the certificate of --nats-tls-cert, or wants one",
	}
	for name, way := range natsconntest.Ways(t) {
		t.Run(name, func(t *testing.T) {
			s := streamtest.Start(t, way.Serve)
			right := way.Right
			right.URL = s.URL
			nc, err := right.Connect("test")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(nc.Close)
			if err := stream.EnsureAll(t.Context(), streamtest.On(t, nc), stream.DefaultLimits()); err != nil {
				t.Fatal(err)
			}
			if found := natsFindings(t, right); len(found) > 0 {
				t.Errorf("of what it takes: %+v", found)
			}

			for what, wrong := range way.Wrong {
				wrong.URL = s.URL
				found := natsFindings(t, wrong.Settings)
				if len(found) != 1 || found[0].Status != checkup.Fail || !strings.Contains(strings.ToLower(found[0].Message), wrong.Why) {
					t.Errorf("%s: %+v", what, found)
					continue
				}
				want, known := fixes[name+": "+what]
				if !known || !strings.Contains(found[0].Fix, want) || !strings.Contains(found[0].Fix, "then run: ") {
					t.Errorf("%s: fix %q of %q, want %q", what, found[0].Fix, found[0].Message, want)
				}
			}
		})
	}
}

// A file with credentials that holds none is the cause, and not the server.
func TestCredentialsThatAreNone(t *testing.T) {
	s := streamtest.Start(t)
	for name, settings := range map[string]natsconn.Settings{
		"--nats-creds": {URL: s.URL, CredsFile: natsconntest.File(t, "creds", "nothing")},
		"--nats-nkey":  {URL: s.URL, NkeyFile: natsconntest.File(t, "nkey", "nothing")},
	} {
		found := natsFindings(t, settings)
		if len(found) != 1 || !strings.Contains(found[0].Fix, "correct the file of "+name) {
			t.Errorf("%s: %+v", name, found)
		}
	}
}
