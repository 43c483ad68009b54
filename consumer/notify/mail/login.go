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

// authenticator logs in at a server. It is set once and shared by all recipients of a
// section; its methods may be called at the same time.
type authenticator struct {
	username string
	// chosen is the only mechanism to use, in capitals, "" for those that the server
	// offers.
	chosen gomail.SMTPAuthType
	server *server
	// last is the mechanism of the last login that went well. It is shared because a
	// mailbox that counts failures as attacks must not see one at every mail.
	last lastLogin
}

func newAuthenticator(cfg Config, server *server) *authenticator {
	return &authenticator{
		username: cfg.Username, chosen: gomail.SMTPAuthType(strings.ToUpper(cfg.Auth)), server: server,
	}
}

// lastLogin is a mechanism. Its methods may be called at the same time.
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

// loginError is a login that the server refuses.
type loginError struct {
	// offered are the mechanisms that the server announces, with spaces between them.
	offered string
	// refused are the answers to the mechanisms that were tried, at least one, or empty
	// if there was none to try.
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

// login logs in by the first mechanism that the server accepts: that it announces one is
// no promise for this mailbox, whose password may be stored in a form that another one
// cannot use. refused are those that were refused in earlier dialogues, and it is added
// to; another says that the server has hung up after a refusal and there are others to
// try in another dialogue.
func (a *authenticator) login(
	session *smtp.Client, has credentials, refused map[gomail.SMTPAuthType]error,
) (another bool, err error) {
	offered := announced(session)
	failed := &loginError{offered: strings.Join(offered, " ")}

	list := a.usable(offered, has)
	refusedHere := false
	for _, m := range list {
		if err, ok := refused[m]; ok {
			failed.refused = append(failed.refused, err)
			continue
		}

		err := a.exchange(session, m, has)
		if err == nil {
			a.last.set(m)
			return false, nil
		}
		err = &mechanismError{m, err}
		failed.refused = append(failed.refused, err)

		var answer *textproto.Error
		answered := errors.As(err, &answer)
		switch {
		case answered && answer.Code >= 500, errors.Is(err, errMechanism):
			refused[m], refusedHere = err, true
		case (!answered || answer.Code == 421) && refusedHere:
			// It has had enough of this dialogue.
			return true, failed
		case !answered && !isTimeout(err):
			// It hangs up instead of an answer, and would again.
			refused[m] = err
			return len(refused) < len(list), failed
		default:
			// It may pass: an account that is locked, a directory that is down.
			return false, failed
		}
	}

	standard, _ := session.Extension("AUTH")
	failed.mayDoWithout = !standard && len(failed.refused) > 0
	return false, failed
}

// usable are the mechanisms to try, in their order.
func (a *authenticator) usable(offered []string, has credentials) []gomail.SMTPAuthType {
	var list []gomail.SMTPAuthType
	mayShow := a.server.isPrivate()
	add := func(mechanisms []gomail.SMTPAuthType) {
		for _, m := range mechanisms {
			if slices.Contains(offered, string(m)) && (mayShow || slices.Contains(hashed, m)) {
				list = append(list, m)
			}
		}
	}

	switch {
	case a.chosen != "":
		// One that the server does not announce is tried all the same: it may know it,
		// and its answer says more than ours.
		if mayShow || slices.Contains(hashed, a.chosen) {
			list = []gomail.SMTPAuthType{a.chosen}
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
	last := a.last.get()
	if i := slices.Index(list, last); i > 0 {
		list = slices.Insert(slices.Delete(list, i, i+1), 0, last)
	}
	return list
}

// exchange is that of one mechanism. An answer that is a refusal is a *textproto.Error.
func (a *authenticator) exchange(session *smtp.Client, m gomail.SMTPAuthType, has credentials) error {
	auth, err := a.mechanism(session, m, has.secret)
	if err != nil {
		return fmt.Errorf("%w: %w", errMechanism, err)
	}
	_, first, err := auth.Start(&smtp.ServerInfo{Name: a.server.host, TLS: a.server.mode != TLSNone})
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

// ask sends a line and returns the answer.
func ask(session *smtp.Client, line string) (code int, text string, err error) {
	id, err := session.Text.Cmd("%s", line)
	if err != nil {
		return 0, "", err
	}
	session.Text.StartResponse(id)
	defer session.Text.EndResponse(id)
	return session.Text.ReadResponse(0)
}

// mechanismError is how one mechanism failed, in the words of the server.
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

// errMechanism is a mechanism that cannot be used with this server: its part of the
// exchange makes no sense, or ours cannot be made.
var errMechanism = errors.New("mechanism cannot be used")

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
