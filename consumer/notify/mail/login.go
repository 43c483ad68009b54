package mail

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"sync"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// Mechanisms of AUTH in the order of preference: those first that do not show the
// password. NTLM is left out: it wants a domain, and servers that offer it offer
// LOGIN too. Those of tokens are for what token_file and token_command give, and
// for a password where the server offers nothing else: then it must be a token.
var (
	hashed = []gomail.SMTPAuthType{
		gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthCramMD5,
	}
	passwords = []gomail.SMTPAuthType{
		gomail.SMTPAuthSCRAMSHA256PLUS, gomail.SMTPAuthSCRAMSHA256,
		gomail.SMTPAuthSCRAMSHA1PLUS, gomail.SMTPAuthSCRAMSHA1,
		gomail.SMTPAuthCramMD5, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin,
	}
	tokens = []gomail.SMTPAuthType{gomail.SMTPAuthXOAUTH2, oauthBearer}
)

// oauthBearer is RFC 7628, which go-mail does not have.
const oauthBearer gomail.SMTPAuthType = "OAUTHBEARER"

// allMechanisms are those that the key auth may name.
func allMechanisms() []string {
	var names []string
	for _, m := range slices.Concat(passwords, tokens) {
		names = append(names, strings.ToLower(string(m)))
	}
	return names
}

// lastLogin remembers, for all recipients of a section, the mechanism by which the
// last login went well: a mailbox that counts failures as attacks must not see one
// at every mail. Its methods may be called at the same time.
type lastLogin struct {
	mu        sync.Mutex
	mechanism gomail.SMTPAuthType
}

func (l *lastLogin) get() gomail.SMTPAuthType {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mechanism
}

func (l *lastLogin) set(m gomail.SMTPAuthType) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mechanism = m
}

// loginError is a login that the server does not let through.
type loginError struct {
	offered string
	// refused are the answers to the mechanisms that were tried, at least one, or
	// empty if there was none to try.
	refused []error
	// mayDoWithout says that the server announces logins in the form of before the
	// standard only ("AUTH=LOGIN"), and refuses them all. Such servers announce to
	// everybody what they know, and may take the mail of this machine without.
	mayDoWithout bool
}

func (e *loginError) Error() string {
	switch {
	case e.offered == "":
		return "server offers no login (no AUTH in its answer to EHLO), but there is a username"
	case len(e.refused) == 0:
		return "server offers AUTH " + e.offered + ", and none of them can be used"
	}
	lines := make([]string, len(e.refused))
	for i, err := range e.refused {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "; ")
}

func (e *loginError) Unwrap() []error { return e.refused }

// usable returns the mechanisms to try, in their order.
func (r *Receiver) usable(offered []string, has credentials) []gomail.SMTPAuthType {
	var list []gomail.SMTPAuthType
	readable := r.mode != TLSNone || isLoopback(r.host)
	add := func(mechanisms []gomail.SMTPAuthType) {
		for _, m := range mechanisms {
			if slices.Contains(offered, string(m)) && (readable || slices.Contains(hashed, m)) {
				list = append(list, m)
			}
		}
	}

	switch chosen := gomail.SMTPAuthType(strings.ToUpper(r.cfg.Auth)); {
	case chosen != "":
		// One that the server does not announce is tried all the same: it may know
		// it, and its answer says more than ours.
		if readable || slices.Contains(hashed, chosen) {
			list = []gomail.SMTPAuthType{chosen}
		}
		return list
	case has.token:
		add(tokens)
	default:
		add(passwords)
		if len(list) == 0 {
			add(tokens)
		}
	}

	// What went well last time comes first.
	if i := slices.Index(list, r.logins.get()); i > 0 {
		list = slices.Insert(slices.Delete(list, i, i+1), 0, r.logins.get())
	}
	return list
}

// login logs in by the first mechanism that the server lets through: one that it
// announces is no promise for this mailbox, whose password may be stored in a form
// of which another one can make nothing. tried are those that were refused in
// dialogues before; more says that the server has hung up after a refusal and
// there are others to try in another dialogue.
func (r *Receiver) login(session *smtp.Client, has credentials, tried map[gomail.SMTPAuthType]error) (more bool, err error) {
	offered := mechanisms(session)
	failed := &loginError{offered: strings.Join(offered, " ")}

	list := r.usable(offered, has)
	refusedHere := false
	for _, m := range list {
		if err, ok := tried[m]; ok {
			failed.refused = append(failed.refused, err)
			continue
		}
		err := r.loginBy(session, m, has)
		if err == nil {
			r.logins.set(m)
			return false, nil
		}
		err = &mechanismError{m, err}
		failed.refused = append(failed.refused, err)

		var answer *textproto.Error
		answered := errors.As(err, &answer)
		switch {
		case answered && answer.Code >= 500, errors.Is(err, errMechanism):
			tried[m], refusedHere = err, true
		case (!answered || answer.Code == 421) && refusedHere:
			// It has had enough of this dialogue.
			return true, failed
		case !answered && !isTimeout(err):
			// It hangs up instead of an answer, and would again.
			tried[m] = err
			return len(tried) < len(list), failed
		default:
			// It may pass: an account that is locked, a directory that is down.
			return false, failed
		}
	}
	standard, _ := session.Extension("AUTH")
	failed.mayDoWithout = !standard && len(failed.refused) > 0
	return false, failed
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// mechanismError is what came of one mechanism, in the words of the server.
type mechanismError struct {
	mechanism gomail.SMTPAuthType
	err       error
}

func (e *mechanismError) Error() string {
	text := e.err.Error()
	// net/textproto quotes it.
	if answer, ok := e.err.(*textproto.Error); ok {
		text = fmt.Sprintf("%d %s", answer.Code, answer.Msg)
	}
	return fmt.Sprintf("AUTH %s: %s", e.mechanism, text)
}

func (e *mechanismError) Unwrap() error { return e.err }

// errMechanism is a mechanism that cannot be used with this server: its part of
// the exchange makes no sense, or ours cannot be made.
var errMechanism = errors.New("mechanism cannot be used")

// mechanisms are those that the server announces, in capitals, each once. Servers
// of old write "AUTH=LOGIN PLAIN", for programs of old.
func mechanisms(session *smtp.Client) []string {
	var names []string
	add := func(text string) {
		for _, name := range strings.Fields(strings.ToUpper(text)) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}

	if ok, list := session.Extension("AUTH"); ok {
		add(strings.ReplaceAll(list, "=", " "))
	}
	for _, m := range append(allMechanisms(), "NTLM", "GSSAPI", "DIGEST-MD5") {
		if ok, rest := session.Extension("AUTH=" + m); ok {
			add(m + " " + rest)
		}
	}
	return names
}

// loginBy has the exchange of one mechanism. An answer that is a refusal is a
// *textproto.Error.
func (r *Receiver) loginBy(session *smtp.Client, m gomail.SMTPAuthType, has credentials) error {
	auth, err := r.auth(session, m, has.secret)
	if err != nil {
		return fmt.Errorf("%w: %w", errMechanism, err)
	}
	_, first, err := auth.Start(&smtp.ServerInfo{Name: r.host, TLS: r.mode != TLSNone})
	if err != nil {
		return fmt.Errorf("%w: %w", errMechanism, err)
	}

	line := "AUTH " + string(m)
	if first != nil {
		line += " " + base64.StdEncoding.EncodeToString(first)
	}
	for {
		code, text, err := ask(session, line)
		switch {
		case err != nil:
			return err
		case code == 235:
			_, err := auth.Next([]byte(text), false)
			return err
		case code != 334:
			if said, ok := auth.(*bearer); ok && said.problem != "" {
				text += " (" + said.problem + ")"
			}
			return &textproto.Error{Code: code, Msg: text}
		}

		challenge, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		var answer []byte
		if err == nil {
			answer, err = auth.Next(challenge, true)
		}
		if err != nil {
			// "*" ends the exchange (RFC 4954), and its answer changes nothing.
			if _, _, broken := ask(session, "*"); broken != nil {
				return broken
			}
			return fmt.Errorf("%w: %w", errMechanism, err)
		}
		line = base64.StdEncoding.EncodeToString(answer)
	}
}

func ask(session *smtp.Client, line string) (code int, text string, err error) {
	id, err := session.Text.Cmd("%s", line)
	if err != nil {
		return 0, "", err
	}
	session.Text.StartResponse(id)
	defer session.Text.EndResponse(id)
	return session.Text.ReadResponse(0)
}
