package natsconntest

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"supernats/schema/natsconn"
)

// Way is a way to be known to a server.
type Way struct {
	// Serve makes a server ask for it.
	Serve func(*server.Options)
	// Right is let in, Wrong, by name, is not. They have no URL yet.
	Right natsconn.Settings
	Wrong map[string]Wrong
}

// Wrong are settings with which a server lets nobody in.
type Wrong struct {
	natsconn.Settings
	// Why is a part of the error, in lower case.
	Why string
}

// Ways returns all ways, by name.
func Ways(tb testing.TB) map[string]Way {
	tb.Helper()
	public, seed := Nkey(tb)
	_, otherSeed := Nkey(tb)
	operator, otherOperator := NewOperator(), NewOperator()
	authority, otherAuthority := NewAuthority(tb), NewAuthority(tb)
	cert, key := authority.Issue(tb, "web1")
	otherCert, otherKey := otherAuthority.Issue(tb, "web1")
	serveTLS := func(mutual bool) func(*server.Options) {
		return func(o *server.Options) {
			cert, key := authority.Issue(tb, "server")
			config, err := server.GenTLSConfig(&server.TLSConfigOpts{CertFile: cert, KeyFile: key, CaFile: authority.CA, Verify: mutual})
			if err != nil {
				tb.Fatal(err)
			}
			o.TLSConfig, o.TLSTimeout = config, 10
		}
	}
	password := func(text string) natsconn.Settings {
		return natsconn.Settings{User: "ops", PasswordFile: File(tb, "password", text)}
	}
	token := func(text string) natsconn.Settings {
		return natsconn.Settings{TokenFile: File(tb, "token", text)}
	}
	withTLS := func(ca, cert, key string) natsconn.Settings {
		return natsconn.Settings{TLS: natsconn.TLS{CA: ca, Cert: cert, Key: key}}
	}
	const violation = "authorization violation"
	return map[string]Way{
		"password": {
			func(o *server.Options) { o.Users = []*server.User{{Username: "ops", Password: "s3cret"}} }, password("\ufeffs3cret \r\n"),
			map[string]Wrong{"another": {password("S3cret\n"), violation}, "nobody": {natsconn.Settings{}, violation}},
		},
		"token": {
			func(o *server.Options) { o.Authorization = "t0ken" }, token("t0ken\n"),
			map[string]Wrong{"another": {token("T0ken"), violation}},
		},
		"nkey": {
			func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: public}} },
			natsconn.Settings{NkeyFile: seed},
			map[string]Wrong{"another": {natsconn.Settings{NkeyFile: otherSeed}, violation}},
		},
		"creds": {
			operator.Trust,
			natsconn.Settings{CredsFile: operator.Creds(tb, "web1")},
			map[string]Wrong{
				"of another operator": {natsconn.Settings{CredsFile: otherOperator.Creds(tb, "web1")}, violation},
				"a bare nkey":         {natsconn.Settings{NkeyFile: seed}, violation},
			},
		},
		"TLS": {
			serveTLS(false), withTLS(authority.CA, "", ""),
			map[string]Wrong{
				"nobody vouches for the server": {natsconn.Settings{}, "certificate signed by unknown authority"},
				"another authority":             {withTLS(otherAuthority.CA, "", ""), "certificate signed by unknown authority"},
			},
		},
		"mutual TLS": {
			serveTLS(true), withTLS(authority.CA, cert, key),
			map[string]Wrong{
				"no certificate":       {withTLS(authority.CA, "", ""), "tls"},
				"of another authority": {withTLS(authority.CA, otherCert, otherKey), "tls"},
			},
		},
	}
}

// Flags are the settings as flags of our programs.
func Flags(s natsconn.Settings) (flags []string) {
	for _, f := range [][2]string{
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
	} {
		if f[1] != "" {
			flags = append(flags, "--nats-"+f[0], f[1])
		}
	}
	return flags
}
