package mail

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"supernats/consumer/notify"
	"supernats/consumer/wording"
)

// maxAnswer is how much of a server's answer is quoted, in characters.
const maxAnswer = 500

// checkHello names the key of the name in EHLO.
const checkHello = "hello (the full name of this machine, for example mon1.example.com)"

// deliveryError has a text of its own: those of go-mail may quote a server that repeats
// the password.
type deliveryError struct {
	text  string
	cause error
}

func (e *deliveryError) Error() string { return e.text }

// Unwrap returns what errors.Is and errors.As may look at.
func (e *deliveryError) Unwrap() error { return e.cause }

// faults words what goes wrong on the way to one recipient: what it is, and which keys of
// the configuration to check. It is set once.
type faults struct {
	cfg    Config
	to     string
	server *server
}

// deliveryFailure is the error of a delivery; check names the keys.
func (f *faults) deliveryFailure(what, check string, cause error) error {
	text := fmt.Sprintf("mail to %s through %s: %s", f.to, f.cfg.Smarthost, what)
	if check != "" {
		text += "; check " + check
	}
	return &deliveryError{text: text, cause: cause}
}

// refusal is the error of a MAIL, RCPT or DATA that the server has refused with answer.
func (f *faults) refusal(refused *gomail.SendError, answer string, cause error) error {
	what, check, permanent, every := f.judgeRefusal(refused, answer)
	err := f.deliveryFailure(what+": "+answer, check, cause)
	if permanent {
		err = notify.Permanent(err)
	}
	if every {
		err = notify.Outage(err)
	}
	return err
}

// judgeRefusal words a refusal. It is permanent if the server says so and means this mail; that
// it wants TLS, a login or another name in EHLO means every mail, and an operator can fix
// it (RFC 4954: 530, 534, 535, 538). every says that it would be the same with any other
// mail: all of ours go to one recipient, and when that is refused, or RCPT is greylisted,
// the server has not seen a text. A MAIL may be refused for the size that it announces.
func (f *faults) judgeRefusal(refused *gomail.SendError, answer string) (what, check string, permanent, every bool) {
	switch code := refused.ErrorCode(); {
	case refusesHello(answer):
		return "server refuses the name in EHLO (" + f.server.hello + ")", checkHello, false, true
	case code == 530 || code == 534 || code == 535 || code == 538:
		return "server wants a login or TLS first", "username, password_file and tls", false, true
	case code >= 500:
		permanent = true
	}

	switch refused.Reason {
	case gomail.ErrSMTPMailFrom:
		return "server refuses the sender", "from and username", permanent, false
	case gomail.ErrSMTPRcptTo:
		check = "to, and username if the server only relays for its users"
		return "server refuses the recipient", check, permanent, true
	case gomail.ErrSMTPData, gomail.ErrSMTPDataClose:
		return "server refuses the mail", "what the server filters and how big a mail may be", permanent, false
	}
	return "server refuses", "the server's log", false, false
}

// aboutHello is how servers say, often as late as after RCPT, that they do not like the
// name in EHLO: "Helo command rejected: need fully-qualified hostname".
var aboutHello = regexp.MustCompile(`(?i)\b(?:he|eh)lo\b|\bhello name|fully[- ]qualified host`)

// refusesHello reports whether an answer is about the name in EHLO. One that repeats an
// address may be about somebody of that name.
func refusesHello(answer string) bool {
	words := slices.DeleteFunc(strings.Fields(answer), func(w string) bool { return strings.Contains(w, "@") })
	return aboutHello.MatchString(strings.Join(words, " "))
}

// timedOut words that the time is over. conn is nil if there was no connection, size that
// of the mail.
func (f *faults) timedOut(conn *boundConn, answer string, size int64) (what, check string) {
	after := "no answer in time (timeout: " + f.cfg.Timeout.String() + ")"
	if more := f.server.timeoutFor(size) - f.server.timeout; more > 0 && conn != nil && !conn.stalled {
		after = fmt.Sprintf("no answer in time (timeout: %s, and %s for a mail of %d KiB)",
			f.cfg.Timeout, more, size>>10)
	}

	switch {
	case conn == nil:
		return after + ": no connection", "smarthost, and the firewall on the way"
	case conn.received == 0 && f.server.mode == TLSImplicit:
		return after + ": connected, and the server does not begin with TLS",
			"smarthost and tls (starttls where the server speaks first, as on port 587)"
	case conn.received == 0:
		return after + ": connected, and the server does not greet",
			"smarthost and tls (implicit where TLS comes first, as on port 465)"
	}
	return after + ": " + answer, "the server's log, and timeout"
}

// advice names what to check after an error that is no refusal. conn is nil if there was
// no connection.
func (f *faults) advice(err error, answer string, conn *boundConn) string {
	var (
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		protocol  *textproto.Error
		dns       *net.DNSError
		login     *loginError
	)

	switch {
	case errors.As(err, &login):
		return f.loginAdvice(login)
	case errors.As(err, &hostname):
		return "smarthost (" + notify.WrongName(hostname) + ")"
	case errors.As(err, &authority), errors.As(err, &verify):
		return "ca_file (the certificate is signed by nobody trusted, or out of date)"
	case errors.As(err, &record):
		return "tls (the server does not speak TLS from the first byte; starttls?)"
	case strings.Contains(answer, "tls: "):
		return "tls and ca_file (at least TLS 1.2 is needed)"
	case strings.Contains(answer, "STARTTLS"):
		return "tls (implicit if the port is one for TLS; none sends everything readable)"
	case errors.As(err, &dns):
		return "smarthost, and the name server"
	case conn == nil:
		return "smarthost, and whether the server runs"
	case errors.As(err, &protocol) && (refusesHello(answer) || protocol.Code == 501 || protocol.Code == 504):
		return checkHello
	case errors.As(err, &protocol):
		return "the server's log, hello and tls"
	}
	return "smarthost and tls"
}

// loginAdvice names what to check when the login fails.
func (f *faults) loginAdvice(e *loginError) string {
	token := f.cfg.hasToken()
	secret := "password_file"
	switch {
	case f.cfg.TokenFile != "":
		secret = "token_file"
	case token:
		secret = "token_command"
	}
	secret = "username and " + secret

	passwordOffered, tokenOffered := anyOffered(passwords, e.offered), anyOffered(tokens, e.offered)
	switch {
	case e.offered == "":
		return "username (leave it out where the server wants none), and tls"
	case len(e.refused) == 0 && !f.server.isPrivate():
		return "tls (without it the password goes out by SCRAM or CRAM-MD5 only), " + secret
	case len(e.refused) == 0 && token && passwordOffered:
		return "password_file (the server takes passwords, not tokens) in place of the token"
	case len(e.refused) == 0:
		return "whether the server has another way in, for example on another port; possible are " +
			strings.Join(allMechanisms(), ", ")
	case !token && tokenOffered && !passwordOffered:
		return "token_file or token_command (the server takes access tokens only, and the password is not one)"
	case token:
		return secret + " (has the token expired, and is it one for SMTP?)"
	}
	return secret
}

// redact makes an error's text one printable line without the password in any of the
// forms in which it was sent. clean is false if it was there.
func (f *faults) redact(text, password string) (line string, clean bool) {
	// go-mail repeats recipient and Message-ID after the answer.
	text, _, _ = strings.Cut(text, ", affected ")
	clean = true
	if password != "" {
		encode := base64.StdEncoding.EncodeToString
		quoted := strconv.Quote(password) // as net/textproto shows an answer
		for _, secret := range []string{
			password, quoted[1 : len(quoted)-1],
			encode([]byte(password)), encode([]byte("\x00" + f.cfg.Username + "\x00" + password)),
			encode([]byte("user=" + f.cfg.Username + "\x01auth=Bearer " + password + "\x01\x01")),
		} {
			if strings.Contains(text, secret) {
				text, clean = strings.ReplaceAll(text, secret, "<secret>"), false
			}
		}
	}
	return wording.Clip(strings.ReplaceAll(text, "\n", " "), maxAnswer), clean
}
