package smtptest

import (
	"bytes"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// Stage is a place in the dialogue where a server can stall: the client is left
// without an answer until the behaviour changes or the server closes.
type Stage int

// The stages, in the order of the dialogue. Drip is no silence but a greeting
// that never ends, a byte at a time. BeforeData and Quit work without TLS only:
// go-smtp has no hook there, so the answer is held back on its way out.
const (
	Nowhere Stage = iota
	Greeting
	Drip
	Hello
	Sender
	Recipient
	BeforeData // DATA is not answered
	InData     // the text is not read
	AfterData  // the text is read and not answered
	Quit       // the mail is accepted, QUIT is not answered
)

// dripEvery is how often a dripping server sends a byte.
const dripEvery = 2 * time.Millisecond

// Answer is one of the server's: a code and its text. The zero value accepts.
type Answer struct {
	Code int
	Text string
}

func (a Answer) err() error {
	if a.Code == 0 {
		return nil
	}
	return &smtp.SMTPError{Code: a.Code, Message: a.Text}
}

// Behaviour is how a server misbehaves. The zero value is a server that works.
type Behaviour struct {
	Stall Stage
	// Delay passes before a mail is accepted.
	Delay time.Duration
	// Auth, Sender and Data are the answers to AUTH (right password or not), MAIL
	// and the end of DATA.
	Auth, Sender, Data Answer
	// Recipients are the answers to RCPT, by address.
	Recipients map[string]Answer
}

// errClosing ends a dialogue that waited while the server closed: nothing is accepted of
// which the client does not hear.
var errClosing = &smtp.SMTPError{Code: 421, Message: "server is closing"}

// stall waits at a stage if the server is to stall there.
func (s *Server) stall(at Stage) error {
	b, release := s.current()
	if b.Stall != at {
		return nil
	}
	if s.opts.OnStall != nil {
		s.opts.OnStall(at)
	}
	<-release
	return s.closing()
}

// delay waits for the time that a mail takes.
func (s *Server) delay() error {
	b, release := s.current()
	if b.Delay == 0 {
		return nil
	}
	t := time.NewTimer(b.Delay)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-release:
		return s.closing()
	}
}

func (s *Server) closing() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosing
	}
	return nil
}

// listener knows its connections, so that Close can cut them.
type listener struct {
	net.Listener
	server *Server

	mu    sync.Mutex
	conns map[*conn]struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner, listener: l}
	l.mu.Lock()
	l.conns[c] = struct{}{}
	l.mu.Unlock()
	l.server.mu.Lock()
	l.server.connections++
	l.server.mu.Unlock()
	return c, nil
}

func (l *listener) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		// Not c.Close, which wants the lock.
		_ = c.Conn.Close()
	}
}

// conn holds back what go-smtp answers without a call of ours. One goroutine calls its Write,
// that of the dialogue.
type conn struct {
	net.Conn
	listener *listener
	greeted  bool
}

func (c *conn) Write(p []byte) (int, error) {
	s := c.listener.server

	var err error
	switch {
	case !c.greeted:
		// The first bytes of all: with implicit TLS those of the handshake.
		c.greeted = true
		if err = s.stall(Greeting); err == nil {
			err = s.drip(c.Conn)
		}
	case bytes.HasPrefix(p, []byte("354 ")):
		err = s.stall(BeforeData)
	case bytes.HasPrefix(p, []byte("221 ")):
		err = s.stall(Quit)
	}

	if err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *conn) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.conns, c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

// drip sends lines of a greeting that lasts for as long as the server drips.
func (s *Server) drip(c net.Conn) error {
	b, release := s.current()
	if b.Stall != Drip {
		return nil
	}
	if s.opts.OnStall != nil {
		s.opts.OnStall(Drip)
	}

	tick := time.NewTicker(dripEvery)
	defer tick.Stop()
	line := []byte("220-patience\r\n")
	for i := 0; ; i++ {
		select {
		case <-release:
			return s.closing()
		case <-tick.C:
		}
		if _, err := c.Write(line[i%len(line):][:1]); err != nil {
			return err
		}
	}
}
