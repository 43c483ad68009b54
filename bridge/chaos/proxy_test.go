package chaos

import (
	"bytes"
	"net"
	"sync"
	"time"
)

// fault is what the proxy does to what passes through it.
type fault string

const (
	none      fault = ""
	stall     fault = "stall"        // holds what comes, from both sides
	stallUp   fault = "stall up"     // the same, only towards the server
	stallDown fault = "stall down"   // the same, only towards the bridge
	slow      fault = "delay"        // each chunk waits
	cut       fault = "cut"          // resets in the middle of a message
	reset     fault = "reset"        // resets at once
	deaf      fault = "lost answers" // the server's answers vanish, then it resets
	refuse    fault = "refuse"       // resets at once, and whoever connects
	late      fault = "late"         // resets the bridge, and hands on what it had sent a little later
	slowness        = 15 * time.Millisecond
	lateness        = 700 * time.Millisecond
	chunk           = 8 << 10
	duplicate       = `"duplicate": true` // in an acknowledgement of JetStream
)

// proxy stands between the bridge and the server, and has one fault at a time.
type proxy struct {
	ln     net.Listener
	target string

	mu      sync.Mutex
	changed sync.Cond
	fault   fault
	links   map[*link]bool
	// duplicates is how often the stream answered that it has a message already.
	duplicates int
	wg         sync.WaitGroup
}

// link is one connection of the bridge.
type link struct {
	bridge, server net.Conn
	dead           bool
	late           bool // the bridge's side is
}

func startProxy(target string) (*proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{ln: ln, target: target, links: map[*link]bool{}}
	p.changed.L = &p.mu
	p.wg.Go(p.accept)
	return p, nil
}

func (p *proxy) url() string { return "nats://" + p.ln.Addr().String() }

func (p *proxy) close() {
	_ = p.ln.Close()
	p.set(refuse)
	p.wg.Wait()
}

func (p *proxy) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", p.target)
		p.mu.Lock()
		if err != nil || p.fault == refuse {
			abort(c)
			if err == nil {
				abort(s)
			}
			p.mu.Unlock()
			continue
		}
		l := &link{bridge: c, server: s}
		p.links[l] = true
		p.wg.Go(func() { p.pump(l, c, s, true) })
		p.wg.Go(func() { p.pump(l, s, c, false) })
		p.mu.Unlock()
	}
}

// abort closes a connection with a reset.
func abort(c net.Conn) {
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

// set changes the fault. Answers that vanished leave a hole in the stream of
// bytes: such a link does not continue.
func (p *proxy) set(f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f == reset || f == refuse || p.fault == deaf {
		for l := range p.links {
			p.kill(l)
		}
	}
	if f == late {
		for l := range p.links {
			l.late = true
			abort(l.bridge)
			delete(p.links, l)
		}
	}
	if f == reset || f == late {
		f = none
	}
	p.fault = f
	p.changed.Broadcast()
}

func (p *proxy) kill(l *link) {
	if !l.dead {
		l.dead = true
		abort(l.bridge)
		abort(l.server)
		delete(p.links, l)
		p.changed.Broadcast()
	}
}

// pump moves what comes from one side to the other.
func (p *proxy) pump(l *link, from, to net.Conn, up bool) {
	var seen []byte // the end of what came before, to find answers across chunks
	buf := make([]byte, chunk)
	for {
		n, err := from.Read(buf)
		if !up {
			seen = append(seen, buf[:n]...)
			p.mu.Lock()
			p.duplicates += bytes.Count(seen, []byte(duplicate))
			p.mu.Unlock()
			seen = append(seen[:0], seen[max(0, len(seen)-len(duplicate)+1):]...)
		}
		if err != nil || !p.pass(l, to, buf[:n], up) {
			p.mu.Lock()
			if !l.late {
				p.kill(l)
			} else if up {
				_ = l.server.Close() // no reset: it takes what has come
			}
			p.mu.Unlock()
			return
		}
	}
}

// pass hands on a chunk as the fault has it; false is the end of the link.
func (p *proxy) pass(l *link, to net.Conn, b []byte, up bool) bool {
	p.mu.Lock()
	for !l.dead && !l.late && (p.fault == stall || p.fault == stallUp && up || p.fault == stallDown && !up) {
		p.changed.Wait()
	}
	f, dead, isLate := p.fault, l.dead, l.late && up
	if f == cut {
		p.fault = none
	}
	p.mu.Unlock()
	switch {
	case dead:
		return false
	case isLate:
		time.Sleep(lateness)
	case f == slow:
		time.Sleep(slowness)
	case f == cut:
		_, _ = to.Write(b[:len(b)/2])
		return false
	case f == deaf && !up:
		return true
	}
	_, err := to.Write(b)
	return err == nil
}
