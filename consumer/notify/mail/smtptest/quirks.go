package smtptest

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// quirkTimeout bounds a dialogue of a Quirky server.
const quirkTimeout = 30 * time.Second

// Quirks are what a server of an old or odd kind announces and answers.
type Quirks struct {
	// Hello are the lines of its answer to EHLO after the first: "AUTH=LOGIN PLAIN".
	// EHLO is refused with RefuseHello, if that has a code.
	Hello       []string
	RefuseHello Answer
	// Authority, if set, makes it speak TLS from the first byte, by its certificate.
	Authority *Authority
	// Username and Secret are what it knows, in the mechanisms that it lets through,
	// Works; it answers 535 to any other.
	Username, Secret string
	Works            []string
	// HangUp are mechanisms on which it hangs up without a word, and HangUpAfter says
	// that it does so after any login that it refuses.
	HangUp      []string
	HangUpAfter bool
	// Refused is its answer to a login that it refuses, 535 if it has no code.
	Refused Answer
	// Recipient is its answer to RCPT.
	Recipient Answer
}

// Quirky is a running server with Quirks. It takes one mail a dialogue.
type Quirky struct {
	quirks   Quirks
	listener net.Listener
	done     sync.WaitGroup

	mu       sync.Mutex
	dialogue []string
	mails    int
	conns    map[net.Conn]struct{}
}

// StartQuirky listens on a free port of 127.0.0.1 and serves until Close.
func StartQuirky(q Quirks) (*Quirky, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s := &Quirky{quirks: q, listener: l, conns: map[net.Conn]struct{}{}}
	s.done.Go(s.serve)
	return s, nil
}

// Addr is where it listens.
func (s *Quirky) Addr() string { return s.listener.Addr().String() }

// Commands are those that it got, without what answers to its challenges hold.
func (s *Quirky) Commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.dialogue)
}

// Mails counts those that it took.
func (s *Quirky) Mails() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mails
}

// Close ends all dialogues.
func (s *Quirky) Close() {
	_ = s.listener.Close()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.done.Wait()
}

func (s *Quirky) serve() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		_ = c.SetDeadline(time.Now().Add(quirkTimeout))
		s.mu.Lock()
		s.conns[c] = struct{}{}
		s.mu.Unlock()

		s.done.Go(func() {
			defer func() {
				_ = c.Close()
				s.mu.Lock()
				delete(s.conns, c)
				s.mu.Unlock()
			}()
			inner := c
			if s.quirks.Authority != nil {
				inner = tls.Server(c, s.quirks.Authority.config())
			}
			(&quirkyDialogue{s, inner, bufio.NewReader(inner)}).run()
		})
	}
}

type quirkyDialogue struct {
	*Quirky
	conn net.Conn
	in   *bufio.Reader
}

func (d *quirkyDialogue) say(code int, text string) {
	_, _ = fmt.Fprintf(d.conn, "%d %s\r\n", code, text)
}

func (d *quirkyDialogue) answer(a Answer, otherwise string) {
	if a.Code == 0 {
		a = Answer{250, otherwise}
	}
	d.say(a.Code, a.Text)
}

// line reads one, "" at the end.
func (d *quirkyDialogue) line() string {
	text, err := d.in.ReadString('\n')
	if err != nil {
		return ""
	}
	return strings.TrimRight(text, "\r\n")
}

// run answers commands. A server that is this old knows no others.
func (d *quirkyDialogue) run() {
	d.say(220, "smtptest")
	for {
		line := d.line()
		verb, rest, _ := strings.Cut(line, " ")
		verb = strings.ToUpper(verb)
		if verb == "" {
			return
		}
		note := line
		if verb == "AUTH" {
			name, _, _ := strings.Cut(rest, " ")
			note = "AUTH " + name
		}
		d.mu.Lock()
		d.dialogue = append(d.dialogue, note)
		d.mu.Unlock()

		switch verb {
		case "EHLO", "HELO":
			d.hello(verb)
		case "AUTH":
			if !d.auth(rest) {
				return
			}
		case "MAIL":
			d.say(250, "fine")
		case "RCPT":
			d.answer(d.quirks.Recipient, "fine")
		case "DATA":
			d.data()
		case "QUIT":
			d.say(221, "bye")
			return
		case "RSET", "NOOP", "*":
			d.say(250, "fine")
		default:
			d.say(502, "never heard of it")
		}
	}
}

func (d *quirkyDialogue) hello(verb string) {
	if d.quirks.RefuseHello.Code != 0 {
		d.answer(d.quirks.RefuseHello, "")
		return
	}
	if verb == "EHLO" && len(d.quirks.Hello) > 0 {
		_, _ = fmt.Fprint(d.conn, "250-smtptest\r\n")
		for _, l := range d.quirks.Hello[:len(d.quirks.Hello)-1] {
			_, _ = fmt.Fprintf(d.conn, "250-%s\r\n", l)
		}
		d.say(250, d.quirks.Hello[len(d.quirks.Hello)-1])
		return
	}
	d.say(250, "smtptest")
}

func (d *quirkyDialogue) data() {
	d.say(354, "go")
	for {
		switch d.line() {
		case "":
			if _, err := d.in.Peek(1); err != nil {
				return
			}
		case ".":
			d.mu.Lock()
			d.mails++
			d.mu.Unlock()
			d.say(250, "taken")
			return
		}
	}
}
