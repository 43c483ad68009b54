package smtptest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"supernats/consumer/notify/mail/smtptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	from = "a@example.com"
	to   = "b@example.com"
	text = "Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n" +
		"--x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db\r\n" +
		"--x\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+\r\n--x--\r\n"
)

// send is a client that shares nothing with the one that the server is for.
func send(s *smtptest.Server, security smtptest.Security, auth smtp.Auth) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.Authority().PEM())
	config := &tls.Config{ServerName: "127.0.0.1", RootCAs: roots}
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		return err
	}
	defer conn.Close()
	if security == smtptest.Implicit {
		conn = tls.Client(conn, config)
	}
	c, err := smtp.NewClient(conn, "127.0.0.1")
	if err != nil {
		return err
	}
	if security == smtptest.StartTLS {
		if err := c.StartTLS(config); err != nil {
			return err
		}
	}
	if auth != nil {
		if err := c.Auth(auth); err != nil {
			return err
		}
	}
	if err := c.Mail(from); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte(text)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

func TestAccepts(t *testing.T) {
	for name, security := range map[string]smtptest.Security{"none": smtptest.None, "starttls": smtptest.StartTLS, "implicit": smtptest.Implicit} {
		t.Run(name, func(t *testing.T) {
			var seen []smtptest.Mail
			s := smtptest.Serve(t, smtptest.Options{
				Security: security, Username: "u", Password: "p",
				OnMail: func(m smtptest.Mail) { seen = append(seen, m) },
			})
			if err := send(s, security, nil); err == nil || !strings.HasPrefix(err.Error(), "530 ") {
				t.Errorf("without a login: %v", err)
			}
			if err := send(s, security, smtp.PlainAuth("", "u", "wrong", "127.0.0.1")); err == nil || !strings.HasPrefix(err.Error(), "535 ") {
				t.Errorf("with a wrong one: %v", err)
			}
			if err := send(s, security, smtp.PlainAuth("", "u", "p", "127.0.0.1")); err != nil {
				t.Fatal(err)
			}
			mails, err := s.WaitFor(t.Context(), 1)
			if err != nil || len(mails) != 1 || len(seen) != 1 || s.Connections() != 3 {
				t.Fatalf("%d mails, %d seen, %d connections: %v", len(mails), len(seen), s.Connections(), err)
			}
			m := mails[0]
			if m.Err != nil || m.From != from || len(m.To) != 1 || m.To[0] != to || m.Mechanism != "PLAIN" || m.TLS != (security != smtptest.None) {
				t.Errorf("got %+v", m)
			}
			if m.Subject() != "grüße" || m.Text != "a=b" || m.HTML != "<b>" || string(m.Data) != text {
				t.Errorf("got subject %q, text %q, HTML %q, data %q", m.Subject(), m.Text, m.HTML, m.Data)
			}
		})
	}
}

func TestRestart(t *testing.T) {
	s := smtptest.Serve(t, smtptest.Options{Security: smtptest.Implicit})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if err := send(s, smtptest.Implicit, nil); err == nil {
		t.Error("a closed server answers")
	}
	again := smtptest.Serve(t, smtptest.Options{Security: smtptest.Implicit, Addr: s.Addr(), Authority: s.Authority()})
	if again.Addr() != s.Addr() {
		t.Errorf("address %s, want %s", again.Addr(), s.Addr())
	}
	// With the authority of the first.
	if err := send(s, smtptest.Implicit, nil); err != nil {
		t.Error(err)
	}
	if _, err := smtptest.Start(smtptest.Options{Addr: s.Addr()}); err == nil {
		t.Error("a second server on the address")
	}
}

func TestBehave(t *testing.T) {
	stalled := make(chan smtptest.Stage, 1)
	s := smtptest.Serve(t, smtptest.Options{OnStall: func(at smtptest.Stage) { stalled <- at }})
	s.Behave(smtptest.Behaviour{Recipients: map[string]smtptest.Answer{to: {Code: 451, Text: "later"}}})
	if err := send(s, smtptest.None, nil); err == nil || !strings.Contains(err.Error(), "later") {
		t.Errorf("got %v", err)
	}
	for _, stage := range []smtptest.Stage{
		smtptest.Greeting, smtptest.Drip, smtptest.Hello, smtptest.Sender, smtptest.Recipient,
		smtptest.BeforeData, smtptest.InData, smtptest.AfterData, smtptest.Quit,
	} {
		s.Behave(smtptest.Behaviour{Stall: stage})
		sent := make(chan error, 1)
		go func() { sent <- send(s, smtptest.None, nil) }()
		if got := <-stalled; got != stage {
			t.Errorf("stalls at %d, want %d", got, stage)
		}
		// Now the client waits; with another behaviour it continues.
		s.Behave(smtptest.Behaviour{})
		if err := <-sent; err != nil && stage != smtptest.Drip {
			t.Errorf("stage %d: %v", stage, err)
		}
	}
}

func TestWaitForEnds(t *testing.T) {
	s := smtptest.Serve(t, smtptest.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.WaitFor(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestWritePEM(t *testing.T) {
	a, err := smtptest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := a.WritePEM(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil || !x509.NewCertPool().AppendCertsFromPEM(b) {
		t.Errorf("no certificate in %q: %v", b, err)
	}
}
