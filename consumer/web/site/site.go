// Package site is what every page and every answer of the daemon's HTTP address needs to
// know: under which addresses it is reached, who asks, and what they may do.
package site

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"supernats/schema"
)

// What a visitor may be allowed to do, beside reading.
const (
	AllowMute = "mute"
	AllowAck  = "ack"
)

// Settings are the section `web` of the configuration.
type Settings struct {
	// Allow lists what the page and the API may change: AllowMute, AllowAck. Empty: nothing.
	Allow []string `yaml:"allow"`
	// MaxStreams is how many live streams are served at once; the pages beyond it are
	// refreshed instead. 0: DefaultMaxStreams.
	MaxStreams int `yaml:"max_streams"`
}

// DefaultMaxStreams is how many live streams are served at once if nothing else is set.
const DefaultMaxStreams = 200

// Check returns everything that is wrong with the settings.
func (s *Settings) Check() error {
	var wrong []error
	for i, word := range s.Allow {
		if word != AllowMute && word != AllowAck {
			wrong = append(wrong,
				fmt.Errorf("allow[%d]: invalid value %q: want %s or %s", i, word, AllowMute, AllowAck))
		}
	}
	if s.MaxStreams < 0 {
		wrong = append(wrong, fmt.Errorf("max_streams: invalid value %d: want a number above 0", s.MaxStreams))
	}
	return errors.Join(wrong...)
}

// Site is the address as its visitors see it. It never changes.
type Site struct {
	// External is the address at which people reach it, with a path that ends in "/"; nil if
	// none is configured, and then no notification links to it.
	External *url.URL
	// Prefix comes before the path of every request: "/supernats", or "".
	Prefix   string
	Settings Settings
	// WebConfig names Prometheus's web configuration file, "" if there is none.
	WebConfig string
}

// ParseExternal returns the address that external_url means.
func ParseExternal(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, fmt.Errorf("invalid value %q: want http://host:port/path or https://…", text)
	case strings.ContainsAny(text, "?#"):
		return nil, fmt.Errorf("invalid value %q: want no ? and no #", text)
	case u.User != nil:
		return nil, errors.New("invalid value: want no user and no password in it: everybody who is notified gets it")
	}
	u.Path = strings.TrimRight(u.Path, "/") + "/"
	return u, nil
}

// CleanPrefix returns the prefix of all paths that route_prefix means: "" for "/", and that
// of the external address if none is set, as in Prometheus.
func CleanPrefix(prefix string, external *url.URL) string {
	if prefix == "" && external != nil {
		prefix = external.Path
	}
	if prefix = strings.Trim(path.Clean("/"+prefix), "/"); prefix == "" {
		return ""
	}
	return "/" + prefix
}

// CheckPrefix returns an error for a prefix with signs that mean something in an address: a
// proxy may pass them on in another spelling.
func CheckPrefix(prefix string) error {
	plain := func(r rune) bool {
		return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("/-._~", r))
	}
	if strings.ContainsFunc(prefix, func(r rune) bool { return !plain(r) }) {
		return fmt.Errorf("invalid value %q: want letters, digits, -, ., _, ~ and /", prefix)
	}
	return nil
}

// Origin is that of the external address as a browser sends it, "" if none is configured.
func (s *Site) Origin() string {
	if s.External == nil {
		return ""
	}
	host := strings.ToLower(s.External.Host)
	for scheme, port := range map[string]string{"http": ":80", "https": ":443"} {
		if s.External.Scheme == scheme {
			host = strings.TrimSuffix(host, port)
		}
	}
	return s.External.Scheme + "://" + host
}

// Path returns a path of the site as a link within it: "/alerts" is "/supernats/alerts". As in
// Prometheus that is the path outside, which a proxy may strip, if an external address is set.
func (s *Site) Path(path string) string {
	if s.External != nil {
		return strings.TrimRight(s.External.EscapedPath(), "/") + path
	}
	return s.Prefix + path
}

// URL returns the address of a path for the world outside, "" if no external address is
// configured.
func (s *Site) URL(path string) string {
	if s.External == nil {
		return ""
	}
	return strings.TrimRight(s.External.String(), "/") + path
}

// Allows reports whether the page and the API may change something: AllowMute, AllowAck.
func (s *Site) Allows(what string) bool { return slices.Contains(s.Settings.Allow, what) }

// MaxStreams is how many live streams are served at once.
func (s *Site) MaxStreams() int {
	if s.Settings.MaxStreams > 0 {
		return s.Settings.MaxStreams
	}
	return DefaultMaxStreams
}

// Paths of the site, with names from hosts in them.

// HostPath is that of the page of a host.
func HostPath(host string) string {
	if isDots(host) {
		return globsPath("/", [2]string{"host", host})
	}
	return "/hosts/" + url.PathEscape(host)
}

// ProcessPath is that of the page of a process.
func ProcessPath(host, group, process string) string {
	if isDots(host) || isDots(group) || isDots(process) {
		return globsPath("/", [2]string{"host", host}, [2]string{"group", group}, [2]string{"process", process})
	}
	return "/processes/" + url.PathEscape(host) + "/" + url.PathEscape(group) + "/" + url.PathEscape(process)
}

// isDots reports whether a name cannot be a part of a path: a browser takes it for the folder
// itself or the one above, escaped or not (WHATWG URL, single-dot and double-dot segments). A
// search for it leads there.
func isDots(name string) bool { return name == "." || name == ".." }

// AlertPath is that of the page of an incident.
func AlertPath(incident string) string { return "/alerts/" + url.PathEscape(incident) }

// NewMutePath is that of a form for a silence of exactly a host, a group, a process and a rule,
// of which any may be "".
func NewMutePath(host, group, process, rule string) string {
	return globsPath("/mutes/new", [2]string{"host", host}, [2]string{"group", group},
		[2]string{"process", process}, [2]string{"rule", rule})
}

// EventsPath is that of the events of a host, a group and a process, of which any may be "".
func EventsPath(host, group, process string) string {
	return globsPath("/events", [2]string{"host", host}, [2]string{"group", group}, [2]string{"process", process})
}

// globsPath is a path with parameters that match exactly some names, of which any may be "".
func globsPath(path string, names ...[2]string) string {
	q := url.Values{}
	for _, name := range names {
		if name[1] != "" {
			q.Set(name[0], schema.QuoteGlob(name[1]))
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}
