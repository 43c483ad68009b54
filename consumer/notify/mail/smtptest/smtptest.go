// Package smtptest is a mail server for tests and demonstrations: real SMTP on
// a real socket of 127.0.0.1, with STARTTLS, TLS and authentication, that keeps
// what it accepts and fails on request. It needs no *testing.T, so a program
// can show with it what happens while a mail server is down, slow or wrong.
//
// Everything that was accepted stays in memory until Close.
package smtptest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// Security is how a Server encrypts.
type Security int

// None offers no TLS, StartTLS offers STARTTLS and asks for nothing, Implicit
// speaks TLS from the first byte.
const (
	None Security = iota
	StartTLS
	Implicit
)

// closeTimeout bounds how long Close waits for dialogues that are under way.
const closeTimeout = 5 * time.Second

// Options say how a Server is built. The zero value is a plain server on a free
// port that takes mail from everybody.
type Options struct {
	// Addr is where to listen, "127.0.0.1:0" if empty. A server that was closed
	// can be started again on the Addr it had.
	Addr     string
	Security Security
	// Authority signs the certificate; nil makes a new one, which the clients of
	// an earlier server on the same address do not trust.
	Authority *Authority
	// Username and Password, if set, must be given before MAIL.
	Username, Password string
	// Mechanisms are those of AUTH to offer, of PLAIN, LOGIN and CRAM-MD5; PLAIN
	// and LOGIN if empty.
	Mechanisms []string
	// MaxBytes is the size of the biggest mail, 0 for no limit.
	MaxBytes int64
	// UTF8 offers SMTPUTF8.
	UTF8 bool
	// Behaviour is how the server misbehaves, see Server.Behave.
	Behaviour Behaviour
	// OnMail is called with every mail before the client has its answer, from the
	// goroutine of the dialogue: while it runs, that client waits.
	OnMail func(Mail)
	// OnStall is called with the stage when a dialogue begins to stall there, from
	// the goroutine of the dialogue: the client is waiting by then.
	OnStall func(Stage)
}

// Server is a running mail server. All its methods may be called at any time
// from any goroutine.
type Server struct {
	opts     Options
	smtp     *smtp.Server
	listener *listener
	served   chan struct{}

	mu        sync.Mutex
	behaviour Behaviour
	// release is closed to end the stalls of dialogues.
	release chan struct{}
	// arrived is closed and replaced at every mail.
	arrived     chan struct{}
	mails       []Mail
	connections int
	closed      bool
}

// Start listens and serves until Close.
func Start(opts Options) (*Server, error) {
	if opts.Addr == "" {
		opts.Addr = "127.0.0.1:0"
	}
	if len(opts.Mechanisms) == 0 {
		opts.Mechanisms = []string{plain, login}
	}
	if opts.Authority == nil {
		authority, err := NewAuthority()
		if err != nil {
			return nil, err
		}
		opts.Authority = authority
	}

	inner, err := net.Listen("tcp", opts.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s := &Server{
		opts:      opts,
		served:    make(chan struct{}),
		behaviour: opts.Behaviour,
		release:   make(chan struct{}),
		arrived:   make(chan struct{}),
	}

	s.listener = &listener{Listener: inner, server: s, conns: make(map[*conn]struct{})}
	s.smtp = s.newSMTP()
	var l net.Listener = s.listener
	switch opts.Security {
	case StartTLS:
		s.smtp.TLSConfig = opts.Authority.config()
	case Implicit:
		// TLS lies around our connection, not within: go-smtp asks whether the
		// connection that it was given is a *tls.Conn.
		l = tls.NewListener(l, opts.Authority.config())
	}

	go func() {
		defer close(s.served)
		// The error is that of the listener that Close closed.
		_ = s.smtp.Serve(l)
	}()
	return s, nil
}

// newSMTP is the server of go-smtp.
func (s *Server) newSMTP() *smtp.Server {
	server := smtp.NewServer(smtp.BackendFunc(s.newSession))
	server.Domain = "smtptest"
	server.ErrorLog = log.New(io.Discard, "", 0)
	server.MaxMessageBytes = s.opts.MaxBytes
	server.EnableSMTPUTF8 = s.opts.UTF8
	// Without TLS there is nothing else that a client could use.
	server.AllowInsecureAuth = s.opts.Security == None
	return server
}

// Addr is the address the server listens on, "127.0.0.1:40123".
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Authority is who signed the server's certificate.
func (s *Server) Authority() *Authority { return s.opts.Authority }

// Behave changes how the server misbehaves, and ends the stalls of dialogues. The zero value
// is a server that works.
func (s *Server) Behave(b Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behaviour = b
	if !s.closed {
		close(s.release)
		s.release = make(chan struct{})
	}
}

// Mails returns what was accepted so far, oldest first.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Connections counts the connections accepted so far.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// WaitFor returns as soon as at least n mails were accepted, with all of them.
//
// Errors: the end of ctx.
func (s *Server) WaitFor(ctx context.Context, n int) ([]Mail, error) {
	for {
		s.mu.Lock()
		have, arrived := len(s.mails), s.arrived
		s.mu.Unlock()
		if have >= n {
			return s.Mails(), nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return s.Mails(), fmt.Errorf("wait for %d mails, have %d: %w", n, have, ctx.Err())
		}
	}
}

// Close stops listening, cuts the dialogues that are under way and waits until
// they have ended. Closing twice is no error.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.release)
	s.mu.Unlock()

	// In this order, so that nothing is accepted that nobody would close: go-smtp has no
	// Close that waits, and its Shutdown waits for idle clients for ever.
	err := s.listener.Close()
	<-s.served
	s.listener.cut()

	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if e := s.smtp.Shutdown(ctx); e != nil && !errors.Is(e, net.ErrClosed) {
		err = errors.Join(err, fmt.Errorf("wait for dialogues: %w", e))
	}
	return err
}

// accept keeps a mail.
func (s *Server) accept(m Mail) {
	s.mu.Lock()
	s.mails = append(s.mails, m)
	close(s.arrived)
	s.arrived = make(chan struct{})
	s.mu.Unlock()
	if s.opts.OnMail != nil {
		s.opts.OnMail(m)
	}
}

// current returns the behaviour in force and what ends a stall.
func (s *Server) current() (Behaviour, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.behaviour, s.release
}
