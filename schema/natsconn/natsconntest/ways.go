package natsconntest

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"supernats/schema/natsconn"
)

// Way is a way to log in to a server.
type Way struct {
	// Serve makes a server ask for it.
	Serve func(*server.Options)
	// Right is let in; Wrong, by name, is not. They have no URL yet.
	Right natsconn.Settings
	Wrong map[string]Wrong
}

// Wrong are settings with which a server lets nobody in.
type Wrong struct {
	natsconn.Settings
	// Why is a part of the error, in lower case.
	Why string
}

const (
	violation = "authorization violation"
	untrusted = "certificate signed by unknown authority"
)

// Ways returns all ways, by name.
func Ways(tb testing.TB) map[string]Way {
	tb.Helper()
	authority, others := NewAuthority(tb), NewAuthority(tb)
	return map[string]Way{
		"password":   password(tb),
		"token":      token(tb),
		"nkey":       nkey(tb),
		"creds":      creds(tb),
		"TLS":        oneSidedTLS(tb, authority, others),
		"mutual TLS": mutualTLS(tb, authority, others),
	}
}

func password(tb testing.TB) Way {
	tb.Helper()
	with := func(text string) natsconn.Settings {
		return natsconn.Settings{User: "ops", PasswordFile: File(tb, "password", text)}
	}
	return Way{
		Serve: func(o *server.Options) { o.Users = []*server.User{{Username: "ops", Password: "s3cret"}} },
		Right: with("\ufeffs3cret \r\n"),
		Wrong: map[string]Wrong{
			"another": {with("S3cret\n"), violation},
			"nobody":  {natsconn.Settings{}, violation},
		},
	}
}

func token(tb testing.TB) Way {
	tb.Helper()
	with := func(text string) natsconn.Settings {
		return natsconn.Settings{TokenFile: File(tb, "token", text)}
	}
	return Way{
		Serve: func(o *server.Options) { o.Authorization = "t0ken" },
		Right: with("t0ken\n"),
		Wrong: map[string]Wrong{"another": {with("T0ken"), violation}},
	}
}

func nkey(tb testing.TB) Way {
	tb.Helper()
	public, seed := Nkey(tb)
	_, otherSeed := Nkey(tb)
	return Way{
		Serve: func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: public}} },
		Right: natsconn.Settings{NkeyFile: seed},
		Wrong: map[string]Wrong{"another": {natsconn.Settings{NkeyFile: otherSeed}, violation}},
	}
}

func creds(tb testing.TB) Way {
	tb.Helper()
	operator, others := NewOperator(), NewOperator()
	_, seed := Nkey(tb)
	return Way{
		Serve: operator.Trust,
		Right: natsconn.Settings{CredsFile: operator.Creds(tb, "web1")},
		Wrong: map[string]Wrong{
			"of another operator": {natsconn.Settings{CredsFile: others.Creds(tb, "web1")}, violation},
			"expired": {
				natsconn.Settings{CredsFile: operator.CredsUntil(tb, "web1", time.Now().Add(-time.Hour))}, violation,
			},
			"a bare nkey": {natsconn.Settings{NkeyFile: seed}, violation},
		},
	}
}

func oneSidedTLS(tb testing.TB, authority, others *Authority) Way {
	tb.Helper()
	return Way{
		Serve: serveTLS(tb, authority, false),
		Right: natsconn.Settings{TLS: natsconn.TLS{CA: authority.CA}},
		Wrong: map[string]Wrong{
			"nobody vouches for the server": {natsconn.Settings{}, untrusted},
			"another authority":             {natsconn.Settings{TLS: natsconn.TLS{CA: others.CA}}, untrusted},
		},
	}
}

func mutualTLS(tb testing.TB, authority, others *Authority) Way {
	tb.Helper()
	with := func(cert, key string) natsconn.Settings {
		return natsconn.Settings{TLS: natsconn.TLS{CA: authority.CA, Cert: cert, Key: key}}
	}
	return Way{
		Serve: serveTLS(tb, authority, true),
		Right: with(authority.Issue(tb, "web1")),
		Wrong: map[string]Wrong{
			"no certificate":       {with("", ""), "tls"},
			"of another authority": {with(others.Issue(tb, "web1")), "tls"},
		},
	}
}

// serveTLS makes a server use TLS with a certificate of an authority; mutual says whether
// clients need one too.
func serveTLS(tb testing.TB, authority *Authority, mutual bool) func(*server.Options) {
	tb.Helper()
	return func(o *server.Options) {
		cert, key := authority.Issue(tb, "server")
		config, err := server.GenTLSConfig(&server.TLSConfigOpts{
			CertFile: cert, KeyFile: key, CaFile: authority.CA, Verify: mutual,
		})
		if err != nil {
			tb.Fatal(err)
		}
		o.TLSConfig = config
		o.TLSTimeout = 10
	}
}

// Flags returns settings as flags of our programs.
func Flags(s natsconn.Settings) (flags []string) {
	all := [][2]string{
		{"url", s.URL},
		{"context", s.Context},
		{"creds", s.CredsFile},
		{"nkey", s.NkeyFile},
		{"user", s.User},
		{"password-file", s.PasswordFile},
		{"token-file", s.TokenFile},
		{"domain", s.Domain},
		{"api-prefix", s.APIPrefix},
		{"tls-ca", s.TLS.CA},
		{"tls-cert", s.TLS.Cert},
		{"tls-key", s.TLS.Key},
	}

	for _, f := range all {
		if name, value := f[0], f[1]; value != "" {
			flags = append(flags, "--nats-"+name, value)
		}
	}
	return flags
}
