package mail

import (
	"context"
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
	"time"

	gomail "github.com/wneessen/go-mail"

	"supernats/consumer/notify"
	"supernats/consumer/wording"
)

// maxAnswer is how much of a server's answer is quoted, in characters.
const maxAnswer = 500

// deliveryError has a text of its own: those of go-mail may quote a server that
// repeats the password.
type deliveryError struct {
	text  string
	cause error
}

func (e *deliveryError) Error() string { return e.text }

// Unwrap returns what errors.Is and errors.As may look at.
func (e *deliveryError) Unwrap() error { return e.cause }

// fail is the error of a delivery; check names the keys to look at.
func (r *Receiver) fail(what, check string, cause error) error {
	text := fmt.Sprintf("mail to %s through %s: %s", r.to.Address, r.cfg.Smarthost, what)
	if check != "" {
		text += "; check " + check
	}
	return &deliveryError{text: text, cause: cause}
}

// explain words an error of the dialogue and decides whether trying again is of
// use. conn is nil if there was no connection, size that of the mail.
func (r *Receiver) explain(ctx context.Context, err error, conn *boundConn, password string, size int64) error {
	answer, clean := r.redact(err.Error(), password)
	cause := err
	if !clean {
		cause = nil
	}
	deadline, _ := ctx.Deadline()
	var refused *gomail.SendError
	switch isSend := errors.As(err, &refused); {
	case isSend && refused.ErrorCode() >= 400:
		what, check, permanent, every := r.judge(refused, answer)
		failed := r.fail(what+": "+answer, check, cause)
		if permanent {
			failed = notify.Permanent(failed)
		}
		if every {
			failed = notify.Outage(failed)
		}
		return failed
	case errors.Is(ctx.Err(), context.Canceled):
		return r.fail("cancelled while waiting for the server", "", ctx.Err())
	case ctx.Err() != nil || !time.Now().Before(deadline), conn != nil && conn.stalled:
		// The context's end and the connection's deadline are one instant, and
		// either may be seen first.
		what, check := r.timedOut(conn, answer, size)
		return r.fail(what, check, context.DeadlineExceeded)
	}
	return r.fail(answer, r.advice(err, answer, conn), cause)
}

// aboutHello is how servers say, often as late as after RCPT, that they do not like
// the name in EHLO: "Helo command rejected: need fully-qualified hostname".
var aboutHello = regexp.MustCompile(`(?i)\b(?:he|eh)lo\b|\bhello name|fully[- ]qualified host`)

// refusesHello reports whether an answer is about the name in EHLO; one that repeats
// an address may be about somebody called so.
func refusesHello(answer string) bool {
	words := slices.DeleteFunc(strings.Fields(answer), func(w string) bool { return strings.Contains(w, "@") })
	return aboutHello.MatchString(strings.Join(words, " "))
}

// judge words the refusal of a MAIL, RCPT or DATA. It is permanent if the server
// says so and means this mail; that it wants TLS, a login or another name in EHLO
// means every mail, and an operator can fix it (RFC 4954: 530, 534, 535, 538). every
// says that it would be the same with any other mail: all of ours go to one
// recipient, and when that is refused, or RCPT is greylisted, the server has not seen
// a text. A MAIL may be refused for the size that it announces.
func (r *Receiver) judge(refused *gomail.SendError, answer string) (what, check string, permanent, every bool) {
	switch code := refused.ErrorCode(); {
	case refusesHello(answer):
		return "server refuses the name in EHLO (" + r.hello + ")", checkHello, false, true
	case code == 530 || code == 534 || code == 535 || code == 538:
		return "server wants a login or TLS first", "username, password_file and tls", false, true
	case code >= 500:
		permanent = true
	}
	switch refused.Reason {
	case gomail.ErrSMTPMailFrom:
		return "server refuses the sender", "from and username", permanent, false
	case gomail.ErrSMTPRcptTo:
		return "server refuses the recipient", "to, and username if the server only relays for its users", permanent, true
	case gomail.ErrSMTPData, gomail.ErrSMTPDataClose:
		return "server refuses the mail", "what the server filters and how big a mail may be", permanent, false
	}
	return "server refuses", "the server's log", false, false
}

// checkHello names the key of the name in EHLO.
const checkHello = "hello (the full name of this machine, for example mon1.example.com)"

// timedOut words that the time is over.
func (r *Receiver) timedOut(conn *boundConn, answer string, size int64) (what, check string) {
	after := "no answer in time (timeout: " + r.cfg.Timeout.String() + ")"
	if more := r.timeout(size) - time.Duration(r.cfg.Timeout); more > 0 && conn != nil && !conn.stalled {
		after = fmt.Sprintf("no answer in time (timeout: %s, and %s for a mail of %d KiB)", r.cfg.Timeout, more, size>>10)
	}
	switch {
	case conn == nil:
		return after + ": no connection", "smarthost, and the firewall on the way"
	case conn.received == 0 && r.mode == TLSImplicit:
		return after + ": connected, and the server does not begin with TLS", "smarthost and tls (starttls where the server speaks first, as on port 587)"
	case conn.received == 0:
		return after + ": connected, and the server does not greet", "smarthost and tls (implicit where TLS comes first, as on port 465)"
	}
	return after + ": " + answer, "the server's log, and timeout"
}

// advice names what to look at for an error other than a refusal.
func (r *Receiver) advice(err error, answer string, conn *boundConn) string {
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
		return r.loginAdvice(login)
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

// loginAdvice names what to look at when the login fails.
func (r *Receiver) loginAdvice(e *loginError) string {
	token := r.cfg.TokenFile != "" || len(r.cfg.TokenCommand) > 0
	secret := "password_file"
	switch {
	case r.cfg.TokenFile != "":
		secret = "token_file"
	case token:
		secret = "token_command"
	}
	secret = "username and " + secret

	passwordOffered := slices.ContainsFunc(strings.Fields(e.offered), func(m string) bool {
		return slices.Contains(passwords, gomail.SMTPAuthType(m))
	})
	tokenOffered := slices.ContainsFunc(strings.Fields(e.offered), func(m string) bool {
		return slices.Contains(tokens, gomail.SMTPAuthType(m))
	})
	switch {
	case e.offered == "":
		return "username (leave it out where the server wants none), and tls"
	case len(e.refused) == 0 && r.mode == TLSNone && !isLoopback(r.host):
		return "tls (without it the password goes out by SCRAM or CRAM-MD5 only), " + secret
	case len(e.refused) == 0 && token && passwordOffered:
		return "password_file (the server takes passwords, not tokens) in place of the token"
	case len(e.refused) == 0:
		return "whether the server has another way in, for example on another port; possible are " + strings.Join(allMechanisms(), ", ")
	case !token && tokenOffered && !passwordOffered:
		return "token_file or token_command (the server takes access tokens only, and the password is none)"
	case token:
		return secret + " (has the token expired, and is it one for SMTP?)"
	}
	return secret
}

// redact makes an error's text one printable line without the password in any
// of the forms in which it was sent. clean is false if it was there.
func (r *Receiver) redact(text, password string) (line string, clean bool) {
	// go-mail repeats recipient and Message-ID behind the answer.
	text, _, _ = strings.Cut(text, ", affected ")
	clean = true
	if password != "" {
		encode := base64.StdEncoding.EncodeToString
		quoted := strconv.Quote(password) // as net/textproto shows an answer
		for _, secret := range []string{
			password, quoted[1 : len(quoted)-1],
			encode([]byte(password)), encode([]byte("\x00" + r.cfg.Username + "\x00" + password)),
			encode([]byte("user=" + r.cfg.Username + "\x01auth=Bearer " + password + "\x01\x01")),
		} {
			if strings.Contains(text, secret) {
				text, clean = strings.ReplaceAll(text, secret, "<secret>"), false
			}
		}
	}
	return wording.Clip(strings.ReplaceAll(text, "\n", " "), maxAnswer), clean
}
