package alerts

// forget drops a host that is gone for good, and all alerts about it; what was reported of
// it is reported as over. It does nothing if the record of the host has seen the message:
// that host has come back since.
func (g *Engine) forget(m Meta, host string) {
	if g.hosts.knows(host, m) {
		return
	}
	g.hosts.unwatch(host) // nothing of what follows is a sign of it
	g.book.ForgetHost(host, m)
	g.processes.forget(host, m)

	g.hosts.unwatch(host)
	g.hosts.forget(host)
}
