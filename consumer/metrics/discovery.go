package metrics

import (
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"supernats/consumer/fleet"
	"supernats/schema"
)

// target is what Prometheus's HTTP service discovery expects: an address and what is known
// of it. Prometheus drops labels that begin with __ after relabelling.
type target struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// serveDiscovery answers with the bridges that listen. Prometheus keeps the list of before
// after an answer other than 200, which is why there is no list that is not known.
//
// A bridge on loopback is in the list for who asks from its machine, and for nobody else.
func (m *Metrics) serveDiscovery(w http.ResponseWriter, r *http.Request) {
	s := m.cfg.Snapshot()
	if !s.Status.Loaded {
		refuse(w, "the hosts are not known yet: "+s.Status.Why)
		return
	}

	var here []netip.Addr
	if m.cfg.IsLocal(r) {
		here = machineAddresses()
	}
	targets := []target{}
	for _, h := range s.Hosts {
		targets = append(targets, targetsOf(h, here)...)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(targets) // an error is one of the connection
}

// refuse answers that the list is not known, as problem details (RFC 9457).
func refuse(w http.ResponseWriter, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Retry-After", "5")
	w.WriteHeader(http.StatusServiceUnavailable)
	_ = json.NewEncoder(w).Encode(map[string]any{ // an error is one of the connection
		"type": "about:blank", "title": http.StatusText(http.StatusServiceUnavailable),
		"status": http.StatusServiceUnavailable, "detail": detail,
	})
}

// targetsOf returns the bridges of a host that listen, so far as is known. Of several with
// one address, the last that was seen has the port. here are the addresses of the machine from
// which they are asked for, if that is this one.
func targetsOf(h *fleet.Host, here []netip.Addr) (list []target) {
	own, err := netip.ParseAddr(h.Address)
	isHere := err == nil && slices.Contains(here, own.Unmap())

	listens := map[string]*schema.HostBridge{}
	for i := range h.Bridges {
		b := &h.Bridges[i]
		other := listens[b.Listen]
		if isThere(h, b) && (other == nil || !b.LastSeen.Before(other.LastSeen.Time)) {
			listens[b.Listen] = b
		}
	}

	for _, listen := range slices.Sorted(maps.Keys(listens)) {
		address, port, ok := reachable(listen, h.Name(), h.Address, isHere)
		if !ok {
			continue
		}
		b := listens[listen]
		labels := map[string]string{
			"__metrics_path__":         "/metrics",
			"__meta_supernats_host":    h.Name(),
			"__meta_supernats_address": h.Address,
			"__meta_supernats_port":    port,
			"__meta_supernats_server":  b.Server,
			"__meta_supernats_pool":    b.Pool,
			"__meta_supernats_version": b.Version,
		}
		if b.Scheme != "" { // a bridge of before says none: that of the job holds
			labels["__scheme__"] = b.Scheme
		}
		list = append(list, target{Targets: []string{net.JoinHostPort(address, port)}, Labels: labels})
	}
	return list
}

// isThere reports whether a bridge has not been stopped, nor its supervisord.
func isThere(h *fleet.Host, b *schema.HostBridge) bool {
	l := h.Life(b.Boot)
	return b.Stopped == nil && (l == nil || l.Ended == nil && !l.Succeeded)
}

// reachable returns where an address that a bridge listens on is reached from elsewhere: at
// the name of the host if it listens on all of its addresses, and at one of these if the
// name cannot be one of DNS, or means every machine itself. One on loopback is reached from its
// own machine alone, and one that counts on one interface of its host only (fe80::1%eth0) is not.
func reachable(listen, name, address string, isHere bool) (host, port string, ok bool) {
	host, port, err := net.SplitHostPort(listen)
	if number, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil || number == 0 {
		return "", "", false
	}

	ip, err := netip.ParseAddr(host)
	ip = ip.Unmap()
	switch {
	case ip.Zone() != "":
		return "", "", false
	case isLocal(host):
		return host, port, isHere
	case host != "" && !(err == nil && ip.IsUnspecified()):
		return host, port, isHostName(host)
	case isHostName(name) && !(isLocal(name) && address != ""):
		return name, port, true
	}
	return address, port, address != ""
}

// machineAddresses returns the addresses of this machine.
func machineAddresses() (list []netip.Addr) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil // bridges on loopback are not reached then
	}
	for _, a := range addresses {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			list = append(list, prefix.Addr().Unmap())
		}
	}
	return list
}

// isLocal reports whether a name or an address means the machine itself, on every machine.
func isLocal(name string) bool {
	ip, err := netip.ParseAddr(name)
	if err == nil {
		return ip.Unmap().IsLoopback()
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name == "localhost" || strings.HasPrefix(name, "localhost.") || strings.HasSuffix(name, ".localhost")
}

// isHostName reports whether a name may be one of DNS, or is an IP address.
func isHostName(name string) bool {
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.Zone() == ""
	}
	other := func(r rune) bool {
		isWord := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !isWord && r != '-' && r != '.' && r != '_'
	}
	return name != "" && len(name) < 254 && strings.IndexFunc(name, other) < 0
}
