package smtptest

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Mechanisms of AUTH.
const (
	plain   = "PLAIN"
	login   = "LOGIN"
	cramMD5 = "CRAM-MD5"
)

var (
	errAuthRequired = &smtp.SMTPError{
		Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Authentication required",
	}
	errAuthSyntax = errors.New("bad answer to a challenge")
)

// session is one dialogue from EHLO on. Its methods are called one at a time.
type session struct {
	server    *Server
	conn      *smtp.Conn
	mechanism string
	utf8      bool
	from      string
	to        []string
}

func (s *Server) newSession(c *smtp.Conn) (smtp.Session, error) {
	if err := s.stall(Hello); err != nil {
		return nil, err
	}
	return &session{server: s, conn: c}, nil
}

// Reset implements smtp.Session.
func (s *session) Reset() { s.from, s.to = "", nil }

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }

// Mail implements smtp.Session.
func (s *session) Mail(from string, o *smtp.MailOptions) error {
	if err := s.server.stall(Sender); err != nil {
		return err
	}
	if s.server.opts.Username != "" && s.mechanism == "" {
		return errAuthRequired
	}
	b, _ := s.server.current()
	if err := b.Sender.err(); err != nil {
		return err
	}
	s.from, s.utf8 = from, o != nil && o.UTF8
	return nil
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := s.server.stall(Recipient); err != nil {
		return err
	}
	b, _ := s.server.current()
	if err := b.Recipients[to].err(); err != nil {
		return err
	}
	s.to = append(s.to, to)
	return nil
}

// Data implements smtp.Session.
func (s *session) Data(r io.Reader) error {
	if err := s.server.stall(InData); err != nil {
		return err
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}

	if err := s.server.stall(AfterData); err != nil {
		return err
	}
	if err := s.server.delay(); err != nil {
		return err
	}
	b, _ := s.server.current()
	if err := b.Data.err(); err != nil {
		return err
	}

	_, encrypted := s.conn.TLSConnectionState()
	m := Mail{
		From: s.from, To: s.to, Data: data,
		Hello: s.conn.Hostname(), Mechanism: s.mechanism, TLS: encrypted, UTF8: s.utf8, Received: time.Now(),
	}

	m.parse()
	s.server.accept(m)
	return nil
}

// AuthMechanisms implements smtp.AuthSession.
func (s *session) AuthMechanisms() []string {
	if s.server.opts.Username == "" {
		return nil
	}
	return s.server.opts.Mechanisms
}

// Auth implements smtp.AuthSession.
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	if !slices.Contains(s.AuthMechanisms(), mechanism) {
		return nil, smtp.ErrAuthUnknownMechanism
	}

	switch mechanism {
	case plain:
		return sasl.NewPlainServer(func(_, username, password string) error {
			return s.finish(mechanism, username, password == s.server.opts.Password)
		}), nil
	case login:
		return s.askLogin(), nil
	case cramMD5:
		return s.askCRAM(), nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

// finish is the answer to a login. ok says that the secret is right.
func (s *session) finish(mechanism, username string, ok bool) error {
	b, _ := s.server.current()
	if err := b.Auth.err(); err != nil {
		return err
	}
	if !ok || username != s.server.opts.Username {
		return smtp.ErrAuthFailed
	}
	s.mechanism = mechanism
	return nil
}

// askLogin asks for the name and the password.
func (s *session) askLogin() sasl.Server {
	var username string
	return &steps{
		func([]byte) ([]byte, error) { return []byte("Username:"), nil },
		func(answer []byte) ([]byte, error) { username = string(answer); return []byte("Password:"), nil },
		func(answer []byte) ([]byte, error) {
			return nil, s.finish(login, username, string(answer) == s.server.opts.Password)
		},
	}
}

// askCRAM asks for a hash of the password.
func (s *session) askCRAM() sasl.Server {
	challenge := fmt.Sprintf("<%d@smtptest>", time.Now().UnixNano())
	return &steps{
		func([]byte) ([]byte, error) { return []byte(challenge), nil },
		func(answer []byte) ([]byte, error) {
			mac := hmac.New(md5.New, []byte(s.server.opts.Password))
			mac.Write([]byte(challenge))
			username, digest, _ := strings.Cut(string(answer), " ")
			return nil, s.finish(cramMD5, username, digest == hex.EncodeToString(mac.Sum(nil)))
		},
	}
}

// steps is a mechanism that is a fixed number of questions: every step gets the
// answer to the one before and returns the next question; the last ends it.
type steps []func(answer []byte) (question []byte, err error)

// Next implements sasl.Server.
func (s *steps) Next(answer []byte) (question []byte, done bool, err error) {
	if len(*s) == 0 {
		return nil, false, errAuthSyntax
	}
	step := (*s)[0]
	*s = (*s)[1:]
	question, err = step(answer)
	return question, len(*s) == 0 && err == nil, err
}
