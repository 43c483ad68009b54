package supervisord

import (
	"errors"
	"net/url"
	"strings"
)

// address is a server URL taken apart.
type address struct {
	socket         string // path, for unix:// only
	url            string // what is asked for: no user, ends in /RPC2
	name           string // what errors show
	user, password string
}

// errURL does not quote the URL: it may hold a password.
var errURL = errors.New("server URL is malformed: want unix:///path/to.sock or http://[user:password@]host:port")

func parseURL(s string) (address, error) {
	if s == "" {
		return address{}, errors.New("server URL is empty: supervisord sets SUPERVISOR_SERVER_URL if it has a " +
			"[unix_http_server] or [inet_http_server] section")
	}

	// As supervisord does it: the rest is the path as it stands, nothing is
	// unescaped (xmlrpc.py SupervisorTransport).
	if path, ok := strings.CutPrefix(s, "unix://"); ok {
		if path == "" || strings.ContainsRune(path, 0) {
			return address{}, errURL
		}
		return address{socket: path, url: "http://localhost/RPC2", name: s}, nil
	}

	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" ||
		u.RawQuery != "" || u.Fragment != "" {
		return address{}, errURL
	}
	a := address{}
	if u.User != nil {
		a.user = u.User.Username()
		a.password, _ = u.User.Password()
		u.User = nil
	}

	// At any other path supervisord shows its web page.
	if u.Path = strings.TrimRight(u.Path, "/"); !strings.HasSuffix(u.Path, "/RPC2") {
		u.Path += "/RPC2"
	}
	u.RawPath = ""
	a.url = u.String()
	a.name = strings.TrimSuffix(a.url, "/RPC2")
	return a, nil
}
