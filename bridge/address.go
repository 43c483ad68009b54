package bridge

import "net"

// hostAddress returns an address under which the host may be found: the first one
// that is not local to it, IPv4 before IPv6. Empty if it has no such address.
func hostAddress() string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}

	var ipv6 string
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok || !n.IP.IsGlobalUnicast() {
			continue
		}
		if n.IP.To4() != nil {
			return n.IP.String()
		}
		if ipv6 == "" {
			ipv6 = n.IP.String()
		}
	}
	return ipv6
}
