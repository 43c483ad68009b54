package mail

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/notify"
	"supernats/consumer/notify/mail/smtptest"
	"supernats/schema"
)

func TestSecurity(t *testing.T) {
	for _, tc := range []struct {
		name, mode string
		offer      smtptest.Security
		change     func(*testing.T, *Config)
		tls        bool
		// want is in the error; none if the mail is to arrive.
		want []string
	}{
		{name: "none", mode: TLSNone, offer: smtptest.None, change: nil, tls: false, want: nil},
		{name: "none although offered", mode: TLSNone, offer: smtptest.StartTLS, change: nil, tls: false, want: nil},
		{name: "starttls", mode: TLSStartTLS, offer: smtptest.StartTLS, change: nil, tls: true, want: nil},
		{name: "starttls by default", mode: "", offer: smtptest.StartTLS, change: nil, tls: true, want: nil},
		{name: "implicit", mode: TLSImplicit, offer: smtptest.Implicit, change: nil, tls: true, want: nil},
		{name: "by name", mode: TLSImplicit, offer: smtptest.Implicit, change: func(_ *testing.T, c *Config) {
			c.Smarthost = strings.Replace(c.Smarthost, "127.0.0.1", "localhost", 1)
		}, tls: true, want: nil},
		{name: "starttls not offered", mode: TLSStartTLS, offer: smtptest.None, change: nil, tls: false, want: []string{"STARTTLS", "check tls"}},
		{name: "implicit not spoken", mode: TLSImplicit, offer: smtptest.None, change: nil, tls: false, want: []string{"check tls"}},
		{name: "starttls, unknown authority", mode: TLSStartTLS, offer: smtptest.StartTLS, change: otherAuthority, tls: false, want: []string{"unknown authority", "check ca_file"}},
		{name: "implicit, unknown authority", mode: TLSImplicit, offer: smtptest.Implicit, change: otherAuthority, tls: false, want: []string{"unknown authority", "check ca_file"}},
		{name: "implicit, system's authorities", mode: TLSImplicit, offer: smtptest.Implicit, change: func(_ *testing.T, c *Config) { c.CAFile = "" }, tls: false, want: []string{"check ca_file"}},
		{name: "implicit, other name", mode: TLSImplicit, offer: smtptest.Implicit, change: otherName, tls: false, want: []string{"localhost", "mail.example.com", "check smarthost"}},
		{name: "starttls, other name", mode: TLSStartTLS, offer: smtptest.StartTLS, change: otherName, tls: false, want: []string{"localhost", "mail.example.com", "check smarthost"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := serve(t, smtptest.Options{Security: tc.offer})
			c := config(t, s, tc.mode)
			if tc.change != nil {
				tc.change(t, &c)
			}
			r := receiver(t, c)
			redirect(r, s)
			err := r.Notify(t.Context(), batch(firing()))
			if tc.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				if m := one(t, s); m.TLS != tc.tls || m.Hello != "mon1" {
					t.Errorf("TLS %t, hello %q; want %t, mon1", m.TLS, m.Hello, tc.tls)
				}
				return
			}
			retryable(t, err, append(tc.want, c.Smarthost, ops)...)
			if n := len(s.Mails()); n != 0 {
				t.Errorf("%d mails arrived", n)
			}
		})
	}
}

func otherAuthority(t *testing.T, c *Config) {
	a, err := smtptest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.WritePEM(c.CAFile); err != nil {
		t.Fatal(err)
	}
}

func otherName(_ *testing.T, c *Config) {
	_, port, _ := strings.Cut(c.Smarthost, ":")
	c.Smarthost = "mail.example.com:" + port
}

// redirect makes a receiver connect to s whatever its smarthost is called.
func redirect(r *Receiver, s *smtptest.Server) {
	r.server.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.Addr())
	}
}

// retryable checks that an error is one and words what it should.
func retryable(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if notify.IsPermanent(err) {
		t.Errorf("permanent: %v", err)
	}
	mustContain(t, err.Error(), want...)
}

func TestAuth(t *testing.T) {
	for _, tc := range []struct {
		name, mode string
		offer      smtptest.Security
		mechanisms []string
		change     func(*testing.T, *Config)
		want       string // the mechanism used, "" if the login has to fail
	}{
		{name: "plain over implicit TLS", mode: TLSImplicit, offer: smtptest.Implicit, mechanisms: []string{"LOGIN", "PLAIN"}, change: nil, want: "PLAIN"},
		{name: "plain over starttls", mode: TLSStartTLS, offer: smtptest.StartTLS, mechanisms: []string{"LOGIN", "PLAIN"}, change: nil, want: "PLAIN"},
		{name: "login over implicit TLS", mode: TLSImplicit, offer: smtptest.Implicit, mechanisms: []string{"LOGIN"}, change: nil, want: "LOGIN"},
		{name: "cram before plain", mode: TLSImplicit, offer: smtptest.Implicit, mechanisms: []string{"PLAIN", "CRAM-MD5"}, change: nil, want: "CRAM-MD5"},
		{name: "plain to this machine", mode: TLSNone, offer: smtptest.None, mechanisms: []string{"PLAIN"}, change: nil, want: "PLAIN"},
		{name: "login to this machine", mode: TLSNone, offer: smtptest.None, mechanisms: []string{"LOGIN"}, change: nil, want: "LOGIN"},
		{name: "plain to another, readable", mode: TLSNone, offer: smtptest.None, mechanisms: []string{"PLAIN", "LOGIN"}, change: otherName, want: ""},
		{name: "cram to another", mode: TLSNone, offer: smtptest.None, mechanisms: []string{"PLAIN", "CRAM-MD5"}, change: otherName, want: "CRAM-MD5"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := serve(t, smtptest.Options{Security: tc.offer, Username: ops, Password: secret, Mechanisms: tc.mechanisms})
			c := config(t, s, tc.mode)
			c.Username, c.Password = ops, secret
			if tc.change != nil {
				tc.change(t, &c)
			}
			r := receiver(t, c)
			redirect(r, s)
			err := r.Notify(t.Context(), batch(firing()))
			if tc.want == "" {
				retryable(t, err, "check tls", "password_file")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if m := one(t, s); m.Mechanism != tc.want {
				t.Errorf("logged in by %s, want %s", m.Mechanism, tc.want)
			}
		})
	}
}

func TestAuthRefused(t *testing.T) {
	s := serve(t, smtptest.Options{Security: smtptest.Implicit, Username: ops, Password: "another"})
	c := config(t, s, TLSImplicit)

	// A login that is missing altogether can be fixed by an operator.
	retryable(t, receiver(t, c).Notify(t.Context(), batch(firing())), "530", "Authentication required", "username")

	// What an error quotes is not always what was sent.
	const secret = `a "secret" \ – word`
	c.Username, c.Password = ops, secret
	r := receiver(t, c)
	check := func(want ...string) {
		t.Helper()
		err := r.Notify(t.Context(), batch(firing()))
		retryable(t, err, want...)
		for e := err; e != nil; e = errors.Unwrap(e) {
			if strings.Contains(e.Error(), "– word") {
				t.Errorf("error shows the password: %v", e)
			}
		}
	}
	check("535", "Authentication failed", "check username and password_file")
	s.Behave(smtptest.Behaviour{Auth: smtptest.Answer{Code: 535, Text: ops + " is not " + secret}})
	check("535", "is not <secret>", "check username and password_file")
	s.Behave(smtptest.Behaviour{Auth: smtptest.Answer{Code: 454, Text: "directory is down"}})
	check("454", "directory is down")

	// A server that offers no login.
	open := serve(t, smtptest.Options{})
	c = config(t, open, TLSNone)
	c.Username, c.Password = ops, secret
	retryable(t, receiver(t, c).Notify(t.Context(), batch(firing())), "AUTH", "check username")
}

func TestPasswordFile(t *testing.T) {
	s := serve(t, smtptest.Options{Security: smtptest.StartTLS, Username: ops, Password: secret})
	c := config(t, s, TLSStartTLS)
	c.Username, c.PasswordFile = ops, filepath.Join(t.TempDir(), "password")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(c.PasswordFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := New(c, identity); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	write("old\n")
	r := receiver(t, c)
	retryable(t, r.Notify(t.Context(), batch(firing())), "535")
	write(secret + "\r\n")
	if err := r.Notify(t.Context(), batch(firing())); err != nil {
		t.Errorf("after the password was changed: %v", err)
	}
	write("\ufeff\n " + secret + " \t\r\n")
	if err := r.Notify(t.Context(), batch(firing())); err != nil {
		t.Errorf("with what an editor leaves around it: %v", err)
	}
	write(ops + "\n" + secret + "\n")
	retryable(t, r.Notify(t.Context(), batch(firing())), "password_file", "holds 2 lines", ops)
	write("\n")
	retryable(t, r.Notify(t.Context(), batch(firing())), "password_file", "is empty", ops)
	if err := os.Remove(c.PasswordFile); err != nil {
		t.Fatal(err)
	}
	retryable(t, r.Notify(t.Context(), batch(firing())), "password_file", "no such file")
}

func TestRefusals(t *testing.T) {
	answer := func(code int, text string) smtptest.Answer { return smtptest.Answer{Code: code, Text: text} }
	rcpt := func(a smtptest.Answer) smtptest.Behaviour {
		return smtptest.Behaviour{Recipients: map[string]smtptest.Answer{ops: a}}
	}
	for _, tc := range []struct {
		name      string
		behaviour smtptest.Behaviour
		permanent bool
		want      []string
	}{
		{name: "recipient", behaviour: rcpt(answer(550, "no such user")), permanent: true, want: []string{"550", "no such user", "check to"}},
		{name: "recipient, later", behaviour: rcpt(answer(451, "greylisted")), permanent: false, want: []string{"451", "greylisted", "check to"}},
		{name: "recipient, full", behaviour: rcpt(answer(452, "mailbox full")), permanent: false, want: []string{"452", "mailbox full"}},
		{name: "recipient, login first", behaviour: rcpt(answer(530, "log in first")), permanent: false, want: []string{"530", "log in first", "check username"}},
		{name: "sender", behaviour: smtptest.Behaviour{Sender: answer(553, "not your address")}, permanent: true, want: []string{"553", "not your address", "check from"}},
		{name: "sender, later", behaviour: smtptest.Behaviour{Sender: answer(421, "too busy")}, permanent: false, want: []string{"421", "too busy"}},
		{name: "text", behaviour: smtptest.Behaviour{Data: answer(554, "spam")}, permanent: true, want: []string{"554", "spam"}},
		{name: "text, later", behaviour: smtptest.Behaviour{Data: answer(452, "disk full")}, permanent: false, want: []string{"452", "disk full"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := serve(t, smtptest.Options{Behaviour: tc.behaviour})
			err := receiver(t, config(t, s, TLSNone)).Notify(t.Context(), batch(firing()))
			if err == nil {
				t.Fatal("no error")
			}
			if got := notify.IsPermanent(err); got != tc.permanent {
				t.Errorf("permanent %t, want %t: %v", got, tc.permanent, err)
			}
			mustContain(t, err.Error(), append(tc.want, s.Addr(), ops)...)
		})
	}
	t.Run("too big", func(t *testing.T) {
		s := serve(t, smtptest.Options{MaxBytes: 1000})
		if err := receiver(t, config(t, s, TLSNone)).Notify(t.Context(), batch(firing())); !notify.IsPermanent(err) {
			t.Errorf("not permanent: %v", err)
		}
	})
	t.Run("no data", func(t *testing.T) {
		r := receiver(t, Config{Smarthost: "127.0.0.1:1", TLS: TLSNone, From: from, To: []string{ops}}.WithDefaults())
		if err := r.Notify(t.Context(), batch(&notification{ID: "x"})); !notify.IsPermanent(err) {
			t.Errorf("not permanent: %v", err)
		}
	})
}

// TestOneRefusedRecipient: the mail of the other arrives, and shows only itself.
func TestOneRefusedRecipient(t *testing.T) {
	s := serve(t, smtptest.Options{Behaviour: smtptest.Behaviour{
		Recipients: map[string]smtptest.Answer{ops: {Code: 550, Text: "no such user"}},
	}})
	c := config(t, s, TLSNone)
	c.To = []string{ops, "On Call <" + oncall + ">"}
	rs := receivers(t, c)
	names := []string{rs[0].Name(), rs[1].Name()}
	if diff := cmp.Diff([]string{"mail/" + ops, "mail/" + oncall}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if err := rs[0].Notify(t.Context(), batch(firing())); !notify.IsPermanent(err) {
		t.Errorf("refused recipient: %v", err)
	}
	if err := rs[1].Notify(t.Context(), batch(firing())); err != nil {
		t.Errorf("other recipient: %v", err)
	}
	m := one(t, s)
	if !slices.Equal(m.To, []string{oncall}) || m.Decoded("To") != `"On Call" <`+oncall+`>` || strings.Contains(string(m.Data), ops) {
		t.Errorf("mail to %q, header %q", m.To, m.Decoded("To"))
	}
}

func TestMessageIDOverTries(t *testing.T) {
	s := serve(t, smtptest.Options{Behaviour: smtptest.Behaviour{Data: smtptest.Answer{Code: 451, Text: "later"}}})
	r := receiver(t, config(t, s, TLSNone))
	retryable(t, r.Notify(t.Context(), batch(firing())), "451")
	s.Behave(smtptest.Behaviour{})
	other := firing()
	other.ID += "0"
	for _, n := range []*notification{firing(), firing(), other} {
		if err := r.Notify(t.Context(), batch(n)); err != nil {
			t.Fatal(err)
		}
	}
	ms := s.Mails()
	if a, b, c := ms[0].Header.Get("Message-ID"), ms[1].Header.Get("Message-ID"), ms[2].Header.Get("Message-ID"); a != b || a == c || a == "" {
		t.Errorf("Message-IDs %q, %q and of another %q", a, b, c)
	}
}

// TestServerDown: what was refused arrives after the server has come back on
// the same address.
func TestServerDown(t *testing.T) {
	s := serve(t, smtptest.Options{Security: smtptest.Implicit})
	r := receiver(t, config(t, s, TLSImplicit))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	retryable(t, r.Notify(t.Context(), batch(firing())), "connection refused", s.Addr(), ops, "check smarthost")
	back := serve(t, smtptest.Options{Security: smtptest.Implicit, Addr: s.Addr(), Authority: s.Authority()})
	if err := r.Notify(t.Context(), batch(firing())); err != nil {
		t.Fatal(err)
	}
	one(t, back)
}

// TestUTF8 asks for SMTPUTF8 only where an address needs it: a mail marked so
// bounces at the next server that does not know it.
func TestUTF8(t *testing.T) {
	s := serve(t, smtptest.Options{UTF8: true})
	c := config(t, s, TLSNone)
	c.To = []string{ops, "müller@example.com"}
	for i, r := range receivers(t, c) {
		if err := r.Notify(t.Context(), batch(firing(func(a *schema.Notification) { a.Process = "进程" }))); err != nil {
			t.Fatal(err)
		}
		if m := s.Mails()[i]; m.UTF8 != (i == 1) || m.Subject() != "[supervisor] CRITICAL web1 api:进程 exited unexpectedly (exit code 3)" {
			t.Errorf("mail to %q: SMTPUTF8 %t, subject %q", m.To, m.UTF8, m.Subject())
		}
	}
}

func TestConcurrent(t *testing.T) {
	s := serve(t, smtptest.Options{Security: smtptest.StartTLS, Username: ops, Password: secret})
	c := config(t, s, TLSStartTLS)
	c.To, c.Username, c.Password = []string{ops, oncall}, ops, secret
	var wg sync.WaitGroup
	for _, r := range receivers(t, c) {
		for range 10 {
			wg.Go(func() {
				if err := r.Notify(t.Context(), batch(firing())); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if n := len(s.Mails()); n != 20 {
		t.Errorf("%d mails arrived, want 20", n)
	}
}

func BenchmarkNotify(b *testing.B) {
	s := serve(b, smtptest.Options{Security: smtptest.Implicit})
	r := receiver(b, config(b, s, TLSImplicit))
	n := firing()
	b.ReportAllocs()
	start := time.Now()
	for b.Loop() {
		if err := r.Notify(context.Background(), batch(n)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "mails/s")
}
