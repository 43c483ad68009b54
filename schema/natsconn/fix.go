package natsconn

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// Fix says what to do about an error with which Connect has failed, "" if the server was not
// reached.
func (s Settings) Fix(err error) string {
	var op *net.OpError
	var unknown *tls.CertificateVerificationError
	var file *FileError
	switch {
	case errors.As(err, &file):
		return "correct the file of --" + file.Flag + ", " + file.File
	case isRefusal(err) && !s.expired().IsZero():
		return "the credentials of --nats-creds " + s.CredsFile + " have expired, at " +
			s.expired().UTC().Format(time.RFC3339) + ": write new ones there: nsc generate creds"
	case isRefusal(err):
		return "the server refuses " + s.login() + ": correct it, here or at the server"
	case errors.As(err, &unknown):
		return "the certificate of the server is refused: --nats-tls-ca names its authority"
	case errors.As(err, &op) && (op.Op == "remote error" || errors.Is(err, nats.ErrTLS) && !op.Timeout()):
		// TLS 1.3 has the server refuse after our handshake: often it is seen to hang up only.
		return "the server refuses the certificate of --nats-tls-cert, or wants one: correct it, here or at the server"
	}
	return ""
}

func isRefusal(err error) bool {
	return errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired)
}

// login names what the settings log in with.
func (s Settings) login() string {
	switch {
	case s.CredsFile != "":
		return "the credentials of --nats-creds " + s.CredsFile
	case s.NkeyFile != "":
		return "the nkey of --nats-nkey " + s.NkeyFile
	case s.User != "":
		return "the user or password of --nats-user " + s.User
	case s.TokenFile != "" || os.Getenv(EnvToken) != "":
		return "the token"
	case s.TLS.Cert != "":
		return "the certificate of --nats-tls-cert " + s.TLS.Cert
	}
	return "a connection without credentials, or those of its URL or context"
}

// expired is when the credentials have expired, zero if they have not, or that is not known.
func (s Settings) expired() time.Time {
	if s.CredsFile == "" {
		return time.Time{}
	}
	text, err := os.ReadFile(s.CredsFile)
	if err != nil {
		return time.Time{}
	}
	token, err := nkeys.ParseDecoratedJWT(text)
	parts := strings.Split(token, ".")
	if err != nil || len(parts) != 3 {
		return time.Time{}
	}

	var claims struct {
		Expires int64 `json:"exp"`
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(body, &claims) != nil || claims.Expires == 0 {
		return time.Time{}
	}
	if at := time.Unix(claims.Expires, 0); at.Before(time.Now()) {
		return at
	}
	return time.Time{}
}
