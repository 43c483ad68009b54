package mail

import (
	"fmt"
	"strings"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// mechanism is our part of the exchange of a mechanism.
func (a *authenticator) mechanism(session *smtp.Client, m gomail.SMTPAuthType, secret string) (smtp.Auth, error) {
	user := a.username
	if m == gomail.SMTPAuthSCRAMSHA256PLUS || m == gomail.SMTPAuthSCRAMSHA1PLUS {
		return boundToTLS(session, m, user, secret)
	}

	switch m {
	case gomail.SMTPAuthSCRAMSHA256:
		return smtp.ScramSHA256Auth(user, secret), nil
	case gomail.SMTPAuthSCRAMSHA1:
		return smtp.ScramSHA1Auth(user, secret), nil
	case gomail.SMTPAuthCramMD5:
		return smtp.CRAMMD5Auth(user, secret), nil
	case gomail.SMTPAuthPlain:
		// Whether it may be shown is decided in usable.
		return smtp.PlainAuth("", user, secret, a.server.host, true), nil
	case gomail.SMTPAuthLogin:
		return smtp.LoginAuth(user, secret, a.server.host, true), nil
	case gomail.SMTPAuthXOAUTH2:
		return &bearer{name: string(m), first: "user=" + user + "\x01auth=Bearer " + secret + "\x01\x01"}, nil
	case oauthBearer:
		user := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(user)
		first := fmt.Sprintf("n,a=%s,\x01host=%s\x01port=%d\x01auth=Bearer %s\x01\x01",
			user, a.server.host, a.server.port, secret)
		return &bearer{name: string(m), first: first, farewell: "\x01"}, nil
	}
	return nil, fmt.Errorf("unknown mechanism %s", m)
}

// boundToTLS is SCRAM with a channel binding.
func boundToTLS(session *smtp.Client, m gomail.SMTPAuthType, user, secret string) (smtp.Auth, error) {
	state, err := session.GetTLSConnectionState()
	if err != nil {
		return nil, err
	}
	if m == gomail.SMTPAuthSCRAMSHA256PLUS {
		return smtp.ScramSHA256PlusAuth(user, secret, state), nil
	}
	return smtp.ScramSHA1PlusAuth(user, secret, state), nil
}

// bearer logs in with an access token: XOAUTH2 and OAUTHBEARER.
type bearer struct {
	name, first string
	// farewell is the answer to a challenge, after which the server refuses.
	farewell string
	// problem is why the server refuses it, which it says in a challenge.
	problem string
}

// Start implements smtp.Auth.
func (b *bearer) Start(*smtp.ServerInfo) (string, []byte, error) { return b.name, []byte(b.first), nil }

// Next implements smtp.Auth: a challenge is the server's reason, in JSON.
func (b *bearer) Next(challenge []byte, more bool) ([]byte, error) {
	if more {
		b.problem = string(challenge)
		return []byte(b.farewell), nil
	}
	return nil, nil
}
