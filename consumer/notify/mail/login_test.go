package mail

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/notify"
	"supernats/consumer/notify/mail/smtptest"
	"supernats/schema"
)

const accessToken = "ya29.c0rrecth0rse-batterystaple_x.y~z=="

// quirky starts a server and returns the configuration of a login there.
func quirky(t *testing.T, q smtptest.Quirks) (*smtptest.Quirky, Config) {
	t.Helper()
	c := Config{From: from, To: []string{ops}, Timeout: schema.Duration(time.Minute), Username: ops, Password: secret, TLS: TLSNone}
	if q.Authority != nil {
		c.TLS, c.CAFile = TLSImplicit, filepath.Join(t.TempDir(), "ca.pem")
		if err := q.Authority.WritePEM(c.CAFile); err != nil {
			t.Fatal(err)
		}
	}
	if q.Username == "" {
		q.Username, q.Secret = ops, secret
	}
	s, err := smtptest.StartQuirky(q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	c.Smarthost = s.Addr()
	return s, c
}

// logins are the mechanisms that a server was asked for.
func logins(s *smtptest.Quirky) []string {
	var list []string
	for _, c := range s.Commands() {
		if name, ok := strings.CutPrefix(c, "AUTH "); ok {
			list = append(list, name)
		}
	}
	return list
}

func TestLogin(t *testing.T) {
	for _, tc := range []struct {
		name   string
		quirks smtptest.Quirks
		change func(*Config)
		// want are the mechanisms tried, for the first mail and for the second.
		want, again []string
	}{
		{name: "the first is broken: CRAM-MD5", quirks: smtptest.Quirks{
			Hello: []string{"AUTH LOGIN PLAIN CRAM-MD5"}, Works: []string{"LOGIN", "PLAIN"},
		}, change: nil, want: []string{"CRAM-MD5", "PLAIN"}, again: []string{"PLAIN"}},
		{name: "the first is broken: SCRAM", quirks: smtptest.Quirks{
			Hello: []string{"AUTH SCRAM-SHA-1 SCRAM-SHA-256 LOGIN PLAIN"}, Works: []string{"LOGIN"},
		}, change: nil, want: []string{"SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"}, again: []string{"LOGIN"}},
		{name: "not implemented", quirks: smtptest.Quirks{
			Hello: []string{"AUTH PLAIN LOGIN"}, Works: []string{"LOGIN"}, Refused: smtptest.Answer{Code: 504, Text: "5.5.4 Unrecognized authentication type"},
		}, change: nil, want: []string{"PLAIN", "LOGIN"}, again: []string{"LOGIN"}},
		{name: "hangs up after a refusal", quirks: smtptest.Quirks{
			Hello: []string{"AUTH CRAM-MD5 PLAIN LOGIN"}, Works: []string{"LOGIN"}, HangUpAfter: true,
		}, change: nil, want: []string{"CRAM-MD5", "PLAIN", "LOGIN"}, again: []string{"LOGIN"}},
		{name: "hangs up without a word", quirks: smtptest.Quirks{
			Hello: []string{"AUTH CRAM-MD5 PLAIN"}, Works: []string{"PLAIN"}, HangUp: []string{"CRAM-MD5"},
		}, change: nil, want: []string{"CRAM-MD5", "PLAIN"}, again: []string{"PLAIN"}},
		{name: "SCRAM works", quirks: smtptest.Quirks{
			Hello: []string{"AUTH PLAIN SCRAM-SHA-256"}, Works: []string{"SCRAM-SHA-256"},
		}, change: nil, want: []string{"SCRAM-SHA-256"}, again: []string{"SCRAM-SHA-256"}},
		{name: "CRAM-MD5 works", quirks: smtptest.Quirks{
			Hello: []string{"AUTH SCRAM-SHA-256 CRAM-MD5"}, Works: []string{"CRAM-MD5"},
		}, change: nil, want: []string{"SCRAM-SHA-256", "CRAM-MD5"}, again: []string{"CRAM-MD5"}},
		{name: "AUTH= of old servers", quirks: smtptest.Quirks{Hello: []string{"PIPELINING", "AUTH=LOGIN PLAIN"}, Works: []string{"PLAIN", "LOGIN"}}, change: nil, want: []string{"PLAIN"}, again: []string{"PLAIN"}},
		{name: "AUTH= with one", quirks: smtptest.Quirks{Hello: []string{"AUTH=LOGIN"}, Works: []string{"LOGIN"}}, change: nil, want: []string{"LOGIN"}, again: []string{"LOGIN"}},
		{name: "both forms", quirks: smtptest.Quirks{Hello: []string{"AUTH GSSAPI", "AUTH=GSSAPI LOGIN"}, Works: []string{"LOGIN"}}, change: nil, want: []string{"LOGIN"}, again: []string{"LOGIN"}},
		{name: "small letters and spaces", quirks: smtptest.Quirks{Hello: []string{"AUTH  login  plain "}, Works: []string{"PLAIN"}}, change: nil, want: []string{"plain"}, again: []string{"plain"}},
		{name: "chosen", quirks: smtptest.Quirks{
			Hello: []string{"AUTH CRAM-MD5 PLAIN LOGIN"}, Works: []string{"LOGIN"},
		}, change: func(c *Config) { c.Auth = "login" }, want: []string{"LOGIN"}, again: []string{"LOGIN"}},
		{name: "chosen and not announced", quirks: smtptest.Quirks{Works: []string{"LOGIN"}}, change: func(c *Config) { c.Auth = "LOGIN" }, want: []string{"LOGIN"}, again: []string{"LOGIN"}},
		{name: "tokens only, the password is one", quirks: smtptest.Quirks{
			Hello: []string{"AUTH XOAUTH2"}, Works: []string{"XOAUTH2"},
		}, change: nil, want: []string{"XOAUTH2"}, again: []string{"XOAUTH2"}},
		{name: "the second kind of token", quirks: smtptest.Quirks{
			Hello: []string{"AUTH XOAUTH2 OAUTHBEARER"}, Works: []string{"OAUTHBEARER"},
		}, change: nil, want: []string{"XOAUTH2", "OAUTHBEARER"}, again: []string{"OAUTHBEARER"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, c := quirky(t, tc.quirks)
			if tc.change != nil {
				tc.change(&c)
			}
			r := receiver(t, c)
			if err := r.Notify(t.Context(), batch(firing())); err != nil {
				t.Fatal(err)
			}
			first := logins(s)
			if diff := cmp.Diff(strings.ToUpper(strings.Join(tc.want, " ")), strings.Join(first, " ")); diff != "" {
				t.Errorf("first mail (-want +got):\n%s", diff)
			}

			if err := r.Notify(t.Context(), batch(firing())); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.ToUpper(strings.Join(tc.again, " ")), strings.Join(logins(s)[len(first):], " ")); diff != "" {
				t.Errorf("second mail (-want +got):\n%s", diff)
			}
			if s.Mails() != 2 {
				t.Errorf("%d mails, want 2", s.Mails())
			}
		})
	}
}

// TestOldFormOnly: a server that announces logins in the old form only, to everybody,
// may take the mail without one. If it does not, the login is what is wrong.
func TestOldFormOnly(t *testing.T) {
	s, c := quirky(t, smtptest.Quirks{Hello: []string{"AUTH=LOGIN PLAIN"}})
	if err := receiver(t, c).Notify(t.Context(), batch(firing())); err != nil || s.Mails() != 1 {
		t.Errorf("%d mails, %v", s.Mails(), err)
	}

	s, c = quirky(t, smtptest.Quirks{Hello: []string{"AUTH=LOGIN"}, Recipient: smtptest.Answer{Code: 550, Text: "5.7.1 relaying denied"}})
	retryable(t, receiver(t, c).Notify(t.Context(), batch(firing())), "AUTH LOGIN: 535", "check username and password_file")
	if s.Mails() != 0 {
		t.Error("a mail arrived")
	}

	// Where the form is that of the standard, the login is asked for.
	s, c = quirky(t, smtptest.Quirks{Hello: []string{"AUTH LOGIN"}})
	retryable(t, receiver(t, c).Notify(t.Context(), batch(firing())), "AUTH LOGIN: 535")
	if s.Mails() != 0 {
		t.Error("a mail was sent without a login")
	}
}

// TestTokens: an access token comes from a file or a program, again for every mail.
func TestTokens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, from := range map[string]func(*Config){
		"file":    func(c *Config) { c.TokenFile = file },
		"command": func(c *Config) { c.TokenCommand = []string{"cat", file} },
	} {
		t.Run(name, func(t *testing.T) {
			authority, err := smtptest.NewAuthority()
			if err != nil {
				t.Fatal(err)
			}
			s, c := quirky(t, smtptest.Quirks{
				Hello: []string{"AUTH PLAIN XOAUTH2"}, Works: []string{"XOAUTH2", "PLAIN"},
				Authority: authority, Username: ops, Secret: accessToken,
			})
			c.Password = ""
			from(&c)

			write("expired\n")
			r := receiver(t, c)
			err = r.Notify(t.Context(), batch(firing()))
			retryable(t, err, "AUTH XOAUTH2: 535", `"status":"400"`, "check username and token_"+name, "expired, and")
			write(accessToken + "\r\n")
			if err := r.Notify(t.Context(), batch(firing())); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff([]string{"XOAUTH2", "XOAUTH2"}, logins(s)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}

			write(`{"access_token": "` + accessToken + `"}`)
			err = r.Notify(t.Context(), batch(firing()))
			retryable(t, err, "token_"+name+": ", "is JSON; want the access token alone")
			if strings.Contains(err.Error(), accessToken) {
				t.Errorf("shows the token: %v", err)
			}
			write("\n")
			retryable(t, r.Notify(t.Context(), batch(firing())), "token_"+name+": ", "is empty")
		})
	}
}

// TestTokenCommand: what is wrong with the program is said in its own words.
func TestTokenCommand(t *testing.T) {
	for name, tc := range map[string]struct {
		argv []string
		want []string
	}{
		"none":   {argv: []string{"/none/token"}, want: []string{"token_command: /none/token: ", "no such file"}},
		"fails":  {argv: []string{"sh", "-c", "echo t0ken; echo 'login expired' >&2; exit 3"}, want: []string{"token_command: sh: exit status 3: login expired"}},
		"flood":  {argv: []string{"sh", "-c", "yes"}, want: []string{"token_command: sh", "did not end in time"}},
		"sleeps": {argv: []string{"sh", "-c", "sleep 60 & sleep 60"}, want: []string{"token_command: sh: did not end in time"}},
		"lines":  {argv: []string{"printf", `Token:\nt0ken\n`}, want: []string{"token_command: what printf writes holds 2 lines"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := quirky(t, smtptest.Quirks{Hello: []string{"AUTH XOAUTH2"}})
			c.Password, c.TokenCommand = "", tc.argv
			if name == "flood" || name == "sleeps" {
				c.Timeout = schema.Duration(short)
			}
			start := time.Now()
			err := receiver(t, c).Notify(t.Context(), batch(firing()))
			retryable(t, err, tc.want...)
			if strings.Contains(err.Error(), "t0ken") {
				t.Errorf("shows the token: %v", err)
			}
			if took := time.Since(start); took > slack {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestLoginFails: what the server offers and says is in the error, and the key
// that helps.
func TestLoginFails(t *testing.T) {
	for name, tc := range map[string]struct {
		quirks smtptest.Quirks
		change func(*Config)
		want   []string
		tried  int
	}{
		"wrong password": {quirks: smtptest.Quirks{Hello: []string{"AUTH PLAIN LOGIN"}}, change: nil, want: []string{
			"AUTH PLAIN: 535 5.7.8 authentication failed; AUTH LOGIN: 535", "check username and password_file",
		}, tried: 2},
		"locked":        {quirks: smtptest.Quirks{Hello: []string{"AUTH PLAIN LOGIN"}, Refused: smtptest.Answer{Code: 454, Text: "4.7.0 too many"}}, change: nil, want: []string{"AUTH PLAIN: 454 4.7.0 too many"}, tried: 1},
		"tokens only":   {quirks: smtptest.Quirks{Hello: []string{"AUTH XOAUTH2"}}, change: nil, want: []string{"AUTH XOAUTH2: 535", "check token_file or token_command (the server takes access tokens only"}, tried: 1},
		"unknown ones":  {quirks: smtptest.Quirks{Hello: []string{"AUTH NTLM GSSAPI"}}, change: nil, want: []string{"server offers AUTH NTLM GSSAPI, and none of them can be used", "possible are scram-sha-256"}, tried: 0},
		"no login":      {quirks: smtptest.Quirks{}, change: nil, want: []string{"no AUTH in its answer to EHLO", "check username (leave it out"}, tried: 0},
		"passwords":     {quirks: smtptest.Quirks{Hello: []string{"AUTH PLAIN"}}, change: func(c *Config) { c.Password, c.TokenCommand = "", []string{"echo", "t"} }, want: []string{"offers AUTH PLAIN", "check password_file"}, tried: 0},
		"always closes": {quirks: smtptest.Quirks{Hello: []string{"AUTH PLAIN LOGIN"}, HangUp: []string{"PLAIN", "LOGIN"}}, change: nil, want: []string{"AUTH PLAIN: EOF; AUTH LOGIN: EOF"}, tried: 2},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := quirky(t, tc.quirks)
			if tc.change != nil {
				tc.change(&c)
			}
			retryable(t, receiver(t, c).Notify(t.Context(), batch(firing())), tc.want...)
			if n := len(logins(s)); n != tc.tried {
				t.Errorf("%d logins tried, want %d: %q", n, tc.tried, s.Commands())
			}
			if s.Mails() != 0 {
				t.Error("a mail was sent")
			}
		})
	}
}

// TestHelloRefused: servers say as late as after RCPT that they do not like the
// name in EHLO, and then mean every mail, not this recipient.
func TestHelloRefused(t *testing.T) {
	answer := func(code int, text string) smtptest.Answer { return smtptest.Answer{Code: code, Text: text} }
	for name, tc := range map[string]struct {
		quirks smtptest.Quirks
		hello  bool
	}{
		"Postfix, not full":       {quirks: smtptest.Quirks{Recipient: answer(504, "5.5.2 <mon1>: Helo command rejected: need fully-qualified hostname")}, hello: true},
		"Postfix, not found":      {quirks: smtptest.Quirks{Recipient: answer(450, "4.7.1 <mon1>: Helo command rejected: Host not found")}, hello: true},
		"Exim":                    {quirks: smtptest.Quirks{Recipient: answer(550, "Access denied - Invalid HELO name (See RFC2821 4.1.1.1)")}, hello: true},
		"other words":             {quirks: smtptest.Quirks{Recipient: answer(554, "5.7.1 EHLO/HELO validation failed")}, hello: true},
		"at once":                 {quirks: smtptest.Quirks{RefuseHello: answer(501, "5.5.4 Invalid domain name")}, hello: true},
		"a recipient called so":   {quirks: smtptest.Quirks{Recipient: answer(550, "5.1.1 <helo@example.com>: no such user, helo@example.com")}, hello: false},
		"a recipient and no more": {quirks: smtptest.Quirks{Recipient: answer(550, "5.1.1 no such user")}, hello: false},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := quirky(t, tc.quirks)
			c.Username, c.Password = "", ""
			err := receiver(t, c).Notify(t.Context(), batch(firing()))
			if tc.hello {
				retryable(t, err, "check hello (the full name")
			} else if !notify.IsPermanent(err) || strings.Contains(err.Error(), "hello") {
				t.Errorf("not about the recipient: %v", err)
			}
		})
	}
}

// TestNoSAN: the certificate of an old server has a common name only, which is not
// the same as one for another name.
func TestNoSAN(t *testing.T) {
	authority, err := smtptest.NewAuthority(smtptest.WithoutSAN("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	s, c := quirky(t, smtptest.Quirks{Authority: authority})
	err = receiver(t, c).Notify(t.Context(), batch(firing()))
	retryable(t, err, "check smarthost (the certificate has no subjectAltName (SAN)", `common name "127.0.0.1"`, "subjectAltName=IP:127.0.0.1")
	if strings.Contains(err.Error(), "another name") || s.Mails() != 0 {
		t.Error(err)
	}
}

// TestIDN: domains go out in ASCII, so that every server can carry them; what is
// before the @ has no such form.
func TestIDN(t *testing.T) {
	const bücher, ascii = "ops@bücher.example", "ops@xn--bcher-kva.example"
	for _, utf8 := range []bool{false, true} {
		t.Run(fmt.Sprintf("SMTPUTF8 %t", utf8), func(t *testing.T) {
			s := serve(t, smtptest.Options{UTF8: utf8})
			c := config(t, s, TLSNone)
			c.From, c.To = "Büro <supervisor@büro.example>", []string{bücher, "Grüße@bücher.example"}
			rs := receivers(t, c)
			if got := rs[0].Name(); got != "mail/"+bücher {
				t.Errorf("the name has changed: %s", got)
			}
			if err := rs[0].Notify(t.Context(), batch(firing())); err != nil {
				t.Fatal(err)
			}
			m := one(t, s)
			if m.From != "supervisor@xn--bro-hoa.example" || m.To[0] != ascii || m.UTF8 {
				t.Errorf("from %q to %q, SMTPUTF8 %t", m.From, m.To, m.UTF8)
			}

			err := rs[1].Notify(t.Context(), batch(firing()))
			if utf8 && err != nil {
				t.Error(err)
			}
			if !utf8 && (!notify.IsPermanent(err) || !strings.Contains(err.Error(), "no SMTPUTF8")) {
				t.Errorf("%v; want a permanent error that names SMTPUTF8", err)
			}
		})
	}
}

func TestIDNSmarthost(t *testing.T) {
	s := serve(t, smtptest.Options{})
	c := config(t, s, TLSNone)
	c.Smarthost = "mail.bücher.example:25"
	r := receiver(t, c)
	redirect(r, s)
	if err := r.Notify(t.Context(), batch(firing())); err != nil {
		t.Error(err)
	}
	if r.server.host != "mail.xn--bcher-kva.example" {
		t.Errorf("connects to %q", r.server.host)
	}
}

func TestLoginKeys(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Config)
		want   string // none if it is allowed
	}{
		"auth":               {change: func(c *Config) { c.Auth = "digest-md5" }, want: `auth: invalid value "digest-md5": want one of scram-sha-256-plus, `},
		"auth without":       {change: func(c *Config) { c.Username, c.Password, c.Auth = "", "", "plain" }, want: "username: missing, but there is an auth (plain)"},
		"auth and token":     {change: func(c *Config) { c.Password, c.TokenFile, c.Auth = "", "/t", "plain" }, want: "auth: plain takes a password, but there is a token"},
		"readable":           {change: func(c *Config) { c.Smarthost, c.Auth = "mail.example.com:25", "plain" }, want: "auth: plain shows the secret to everybody"},
		"token and password": {change: func(c *Config) { c.TokenFile = "/t" }, want: "password: given together with token_file"},
		"two tokens":         {change: func(c *Config) { c.Password, c.TokenFile, c.TokenCommand = "", "/t", []string{"x"} }, want: "token_file: given together with token_command"},
		"token for nobody":   {change: func(c *Config) { c.Username, c.Password, c.TokenFile = "", "", "/t" }, want: "username: missing, but there is a token_file"},
		"empty command":      {change: func(c *Config) { c.Password, c.TokenCommand = "", []string{""} }, want: "token_command: begins with an empty name"},
		"password as token":  {change: func(c *Config) { c.Auth = "XOAUTH2" }, want: ""},
		"capitals":           {change: func(c *Config) { c.Auth = "Login" }, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := quirky(t, smtptest.Quirks{})
			tc.change(&c)
			err := c.Validate()
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%v; want %q", err, tc.want)
			}
		})
	}
}
