package doctor

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"supernats/bridge/access"
	"supernats/bridge/listeners"
	"supernats/bridge/supervisordconf"
	"supernats/schema/checkup"
)

// blind is what a bridge lacks without supervisord's XML-RPC.
const blind = "the bridge gets no process table"

// checkServers checks that bridges can ask supervisord.
func checkServers(_ context.Context, h *host) {
	unix, inet := h.server("unix_http_server"), h.server("inet_http_server")
	own := h.conf.Section("supervisord")
	if unix == nil && inet == nil {
		h.report.fail(own, "", "add the lines [unix_http_server], file=/var/run/supervisor.sock and chmod=0700 to "+
			h.Conf+", then run: "+h.fix.apply(own),
			"there is neither [unix_http_server] nor [inet_http_server]: %s", blind)
		return
	}
	if h.conf.Section("rpcinterface:supervisor") == nil {
		h.report.fail(own, "", "add the lines [rpcinterface:supervisor] and supervisor.rpcinterface_factory="+
			"supervisor.rpcinterface:make_main_rpcinterface to "+h.Conf+", then run: "+h.fix.apply(own),
			"there is no [rpcinterface:supervisor]: %s, and supervisorctl does not work", blind)
	}

	if unix != nil && h.daemon.PID != 0 {
		checkSocketFile(h, unix)
	}
	for _, b := range h.bridges {
		switch {
		case b.Flags.ServerURL != "":
		case unix != nil:
			checkSocket(h, b, unix)
			checkPassword(h, b, unix)
		default:
			checkPassword(h, b, inet)
		}
	}
}

// checkSocketFile finds a socket that somebody has removed, such as what tidies /tmp. Only a
// signal reaches supervisord then.
func checkSocketFile(h *host, s *supervisordconf.Section) {
	path, err := s.Value("file", "")
	if err != nil || path == "" {
		return
	}
	if _, err := os.Stat(h.looksAt(path)); errors.Is(err, fs.ErrNotExist) {
		h.report.fail(s, "file", fmt.Sprintf("kill -HUP %d (it restarts all programs)", h.daemon.PID),
			"supervisord runs, and its socket %s is gone: %s, and supervisorctl does not work", path, blind)
	}
}

// server is a section of a server; its name may be followed by another one.
func (h *host) server(name string) *supervisordconf.Section {
	for _, s := range h.conf.Sections {
		if s.Name == name || strings.HasPrefix(s.Name, name+":") {
			return s
		}
	}
	return nil
}

// checkSocket checks that the user of a section may connect to supervisord's socket.
func checkSocket(h *host, b *listeners.Bridge, s *supervisordconf.Section) {
	if b.AccountErr != nil || b.Account.UID == 0 || b.Account.UID == h.daemon.UID && s.Options["chown"] == "" {
		return
	}
	path, err := s.Value("file", "")
	if err != nil || path == "" {
		return
	}
	if d := h.denied(b, filepath.Dir(path), access.Enter); d != nil {
		h.report.warn(s, "file", h.fix.open(d, "chmod o+x "+checkup.Quote(d.Path), b.Pool),
			"[%s] runs as %s, which may not enter %s: %s: %s", b.Name, b.Account.Name, d.Path, d.Why, blind)
		return
	}
	if opensTo(b.Account, s, h.daemon.UID) {
		checkRunningSocket(h, b, s, path)
		return
	}

	group := strconv.Itoa(b.Account.UID)
	if len(b.Account.Groups) > 0 {
		group = strconv.Itoa(b.Account.Groups[len(b.Account.Groups)-1])
		if g, err := user.LookupGroupId(group); err == nil {
			group = g.Name
		}
	}
	owner := access.Of(h.daemon.UID).Name
	h.report.warn(s, "chmod", h.fix.setOnly(s, "chmod", "0770")+" and "+h.fix.set(s, "chown", owner+":"+group),
		"[%s] runs as %s, which may not connect to %s: %s", b.Name, b.Account.Name, path, blind)
}

// checkRunningSocket checks the socket that is there, where the configuration opens it to
// the user of a section.
func checkRunningSocket(h *host, b *listeners.Bridge, s *supervisordconf.Section, path string) {
	d := h.denied(b, path, access.Write)
	switch {
	case d == nil:
	case d.ByMode:
		h.report.warn(s, "chmod", h.fix.apply(s), "[%s] runs as %s, which may not connect to %s: %s, and the "+
			"configuration says otherwise: supervisord has not read it: %s", b.Name, b.Account.Name, path, d.Why, blind)
	default:
		h.report.warn(s, "file", h.fix.open(d, "", b.Pool), "[%s] runs as %s, which may not connect to %s: %s: %s",
			b.Name, b.Account.Name, path, d.Why, blind)
	}
}

// opensTo reports whether chmod= and chown= let an account connect (options.py
// server_configs_from_parser).
func opensTo(a access.Account, s *supervisordconf.Section, daemonUID int) bool {
	text, _ := s.Value("chmod", "0700")
	mode, err := strconv.ParseUint(text, 8, 32)
	if err != nil {
		return true // not known
	}

	owner, group := daemonUID, -1
	if chown, _ := s.Value("chown", ""); chown != "" {
		name, groupName, _ := strings.Cut(chown, ":")
		if u, err := access.Find(name); err == nil {
			owner = u.UID
		}
		if g, err := user.LookupGroup(groupName); err == nil {
			group, _ = strconv.Atoi(g.Gid)
		}
	}
	switch {
	case a.UID == owner:
		mode >>= 6
	case slices.Contains(a.Groups, group):
		mode >>= 3
	}
	return mode&uint64(access.Write) != 0
}

// checkPassword checks that a bridge has the password of supervisord's server: supervisord
// gives it to no child (process.py _spawn_as_child).
func checkPassword(h *host, b *listeners.Bridge, s *supervisordconf.Section) {
	name, _ := s.Value("username", "")
	password, _ := s.Value("password", "")
	given := b.Environ["SUPERVISOR_USERNAME"]
	switch {
	case name == "" || b.EnvironErr != nil:
		return
	case given != "" && (given != name || !isPassword(b.Environ["SUPERVISOR_PASSWORD"], password)):
		h.report.warn(b.Section, "environment",
			fmt.Sprintf("correct SUPERVISOR_USERNAME and SUPERVISOR_PASSWORD, which %s has, then run: %s",
				placeOf(s, "username"), h.fix.apply(b.Section)),
			"the bridge has another user name or password than [%s] wants: %s", s.Name, blind)
		return
	case given != "":
		return
	}
	h.report.warn(b.Section, "environment", h.fix.set(b.Section, "environment",
		joinPairs(b.Options["environment"], `SUPERVISOR_USERNAME="NAME",SUPERVISOR_PASSWORD="PASSWORD"`))+
		", with those of ["+s.Name+"]",
		"[%s] asks for a password, which supervisord does not hand on: %s", s.Name, blind)
}

// isPassword reports whether a password is the one that a server wants, which may be written
// as a hash (medusa auth_handler, http.py encrypted_dictionary_authorizer).
func isPassword(given, wanted string) bool {
	hash, isHash := strings.CutPrefix(wanted, "{SHA}")
	if !isHash {
		return given == wanted
	}
	sum := sha1.Sum([]byte(given)) //nolint:gosec // it is supervisord's
	return hex.EncodeToString(sum[:]) == strings.ToLower(hash)
}

func joinPairs(before, more string) string {
	if before == "" {
		return more
	}
	return strings.TrimSuffix(before, ",") + "," + more
}
