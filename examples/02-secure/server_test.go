// Package secure holds a configuration of nats-server in which each host has just
// the rights that it needs, nats-server.conf, and its test: with a real server, a
// real supervisord and the real programs.
package secure

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"supernats/schema/natsconn"
	"supernats/schema/natsconn/natsconntest"
	"supernats/schema/program/programtest"
	"supernats/schema/stream/streamtest"
)

// bin is where the programs are, built once.
var bin string

func TestMain(m *testing.M) {
	os.Exit(programtest.Main(m, func(dir string) { bin = dir }, programtest.Both...))
}

// installation is a server that runs nats-server.conf, and how each user connects.
type installation struct {
	server *streamtest.Server
	users  map[string]natsconn.Settings
}

// install starts the server. mutual takes the comment off mutual TLS.
func install(t *testing.T, mutual bool) *installation {
	t.Helper()
	authority := natsconntest.NewAuthority(t)
	cert, key := authority.Issue(t, "nats")
	replace := map[string]string{
		"0.0.0.0:4222": "127.0.0.1:-1", "/etc/nats/server.pem": cert, "/etc/nats/server-key.pem": key, "/var/lib/nats": t.TempDir(),
	}
	if mutual {
		replace["# ca_file: /etc/nats/ca.pem"], replace["# verify: true"] = "ca_file: "+authority.CA, "verify: true"
	}
	conf, err := os.ReadFile("nats-server.conf")
	if err != nil {
		t.Fatal(err)
	}
	text := string(conf)
	for old, now := range replace {
		if strings.Count(text, old) != 1 {
			t.Fatalf("nats-server.conf has %q %d times", old, strings.Count(text, old))
		}
		text = strings.Replace(text, old, now, 1)
	}
	in := &installation{users: map[string]natsconn.Settings{}}
	var keys strings.Builder
	for _, user := range []string{"web1", "db1", "consume", "people"} {
		public, seed := natsconntest.Nkey(t)
		fmt.Fprintf(&keys, "%s: %s\n", strings.ToUpper(user), public)
		s := natsconn.Settings{NkeyFile: seed, TLS: natsconn.TLS{CA: authority.CA}}
		if mutual {
			s.TLS.Cert, s.TLS.Key = authority.Issue(t, user)
		}
		in.users[user] = s
	}
	file := natsconntest.File(t, "nats-server.conf", text)
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "keys.conf"), []byte(keys.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	opts, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	opts.NoSigs, opts.NoLog = true, true
	in.server = streamtest.Start(t, func(o *server.Options) { *o = *opts })
	for user, s := range in.users {
		s.URL = in.server.URL
		in.users[user] = s
	}
	return in
}

// flags are how a program connects as a user.
func (in *installation) flags(user string) []string {
	return natsconntest.Flags(in.users[user])
}
