package frame

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"supernats/schema/natsconn"
)

// An error of a connection names what was refused, and asks for a server only where none
// has answered.
func TestConnectFix(t *testing.T) {
	t.Setenv(natsconn.EnvToken, "")
	alert := &net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}
	for _, tt := range []struct {
		name     string
		err      error
		settings natsconn.Settings
		want     string
	}{
		{
			name: "nkey", err: nats.ErrAuthorization,
			settings: natsconn.Settings{NkeyFile: "web1.nk"}, want: "the server refuses the nkey of --nats-nkey web1.nk",
		},
		{
			name: "credentials", err: nats.ErrAuthorization,
			settings: natsconn.Settings{CredsFile: "a.creds"}, want: "the credentials of --nats-creds a.creds",
		},
		{name: "user", err: nats.ErrAuthorization, settings: natsconn.Settings{User: "ops"}, want: "--nats-user ops"},
		{name: "nothing given", err: nats.ErrAuthorization, want: "without credentials"},
		{name: "our certificate", err: alert, want: "the server refuses the certificate of --nats-tls-cert"},
		{
			name: "the server's certificate", err: &tls.CertificateVerificationError{Err: errors.New("unknown authority")},
			want: "the certificate of the server is refused: --nats-tls-ca",
		},
		{name: "no server", err: nats.ErrNoServers, want: "is `supernats consume` or a nats-server running?"},
	} {
		got := connectFix(fmt.Errorf("connect to NATS: %w", tt.err), tt.settings)
		if !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
