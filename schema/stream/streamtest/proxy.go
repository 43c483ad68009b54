package streamtest

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Proxy passes TCP connections to a server, with at most one fault at a time.
type Proxy struct {
	tb     testing.TB
	ln     net.Listener
	target string

	mu      sync.Mutex
	changed *sync.Cond
	fault   Fault
	conns   map[net.Conn]bool
}

// Fault is what is wrong with the way to a server.
type Fault int

const (
	NoFault Fault = iota
	// Stalled holds what comes from either side.
	Stalled
	// LosesAnswers drops what the server sends.
	LosesAnswers
)

// NewProxy returns a proxy to an address, which ends with the test.
func NewProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{tb: tb, ln: ln, target: target, conns: map[net.Conn]bool{}}
	p.changed = sync.NewCond(&p.mu)
	go p.accept()
	tb.Cleanup(func() {
		_ = ln.Close()
		p.SetFault(NoFault)
		p.Cut()
	})
	return p
}

// JetStream connects through the proxy.
func (p *Proxy) JetStream() jetstream.JetStream {
	p.tb.Helper()
	nc, err := nats.Connect("nats://"+p.ln.Addr().String(),
		nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1))
	if err != nil {
		p.tb.Fatal(err)
	}
	p.tb.Cleanup(nc.Close)

	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(500*time.Millisecond))
	if err != nil {
		p.tb.Fatal(err)
	}
	return js
}

func (p *Proxy) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = c.Close()
			continue
		}
		p.mu.Lock()
		p.conns[c] = true
		p.conns[s] = true
		p.mu.Unlock()
		go p.pass(c, s, false)
		go p.pass(s, c, true)
	}
}

// pass copies from one side to the other; down is the way from the server.
func (p *Proxy) pass(from, to net.Conn, down bool) {
	defer to.Close()
	defer from.Close()

	b := make([]byte, 16<<10)
	for {
		n, err := from.Read(b)

		p.mu.Lock()
		for p.fault == Stalled {
			p.changed.Wait()
		}
		lost := p.fault == LosesAnswers && down
		p.mu.Unlock()

		if !lost {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				_ = from.(*net.TCPConn).SetLinger(0)
			}
			return
		}
	}
}

// SetFault puts a fault in place of the one before.
func (p *Proxy) SetFault(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	p.changed.Broadcast()
}

// Cut ends all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
}
