package refusal

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema/natsconn"
)

// Every kind of trouble says what fixes it.
func TestClassify(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	for _, tc := range []struct {
		err       error
		kind, fix string // a part of it
	}{
		{err: errors.New("out of cheese"), kind: "out of cheese", fix: "nats-server"},
		{err: &Foreign{"s", "ORDERS", "SUPERVISOR"}, kind: "foreign", fix: "nats stream find"},
		{err: jetstream.ErrInvalidJSAck, kind: "foreign", fix: "nats sub"},
		{err: nats.ErrNoResponders, kind: "no stream", fix: "nats stream add SUPERVISOR"},
		{err: jetstream.ErrNoStreamResponse, kind: "no stream", fix: "supernats consume"},
		{err: jetstream.ErrStreamNotFound, kind: "no stream", fix: "supernats consume"},
		{err: jetstream.ErrJetStreamNotEnabled, kind: "no JetStream", fix: "nats-server -js"},
		{err: jetstream.ErrJetStreamNotEnabledForAccount, kind: "no JetStream", fix: "account"},
		{err: nats.ErrPermissionViolation, kind: "permission", fix: "allow this user to publish"},
		{err: nats.ErrAuthorization, kind: "authorization", fix: "--nats-*"},
		{err: &jetstream.APIError{Code: 400, ErrorCode: codeTTLDisabled}, kind: "ttl", fix: "--allow-msg-ttl"},
		{err: nats.ErrTimeout, kind: "timeout", fix: "nats stream info"},
		{err: jetstream.ErrAsyncPublishTimeout, kind: "timeout", fix: "nats stream info"},
		{err: nats.ErrDisconnected, kind: "connection", fix: "--nats-url"},
		{err: nats.ErrReconnectBufExceeded, kind: "connection", fix: "--nats-url"},
		{err: nats.ErrConnectionReconnecting, kind: "connection", fix: "--nats-url"},
		{err: nats.ErrNoServers, kind: "connection", fix: "--nats-url"},
		{err: nats.ErrConnectionClosed, kind: "connection", fix: "--nats-url"},
		{err: &natsconn.FileError{Flag: "nats-nkey", File: "/f", Err: errors.New("x")}, kind: "file nats-nkey", fix: "--nats-nkey"},
		{err: nats.ErrTLS, kind: "tls", fix: "--nats-tls-ca"},
		{err: fmt.Errorf("%w: %w", nats.ErrTLS, refused), kind: "tls", fix: "--nats-tls-ca"},
		{err: &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}, kind: "tls", fix: "--nats-tls-cert"},
		{err: refused, kind: "connection", fix: "--nats-url"},
		{err: &jetstream.APIError{Code: 503, ErrorCode: 10077}, kind: "full", fix: "--max-bytes"},
		{err: &jetstream.APIError{Code: 503, ErrorCode: 10023}, kind: "resources", fix: "disk"},
		{err: &jetstream.APIError{Code: 400, ErrorCode: 10054}, kind: "too big", fix: "--max-msg-size"},
		{err: fmt.Errorf("%w: in parts neither", ErrTooSmall), kind: "too small", fix: "--max-msg-size"},
		{err: &jetstream.APIError{Code: 503, ErrorCode: 10008}, kind: "api 10008", fix: "nats stream info"},
	} {
		for _, err := range []error{tc.err, fmt.Errorf("publish on s: %w", tc.err)} {
			kind, fix := Classify(err)
			if !strings.HasSuffix(kind, tc.kind) || !strings.Contains(fix, tc.fix) {
				t.Errorf("%v is %q, fixed by %q; want %q and %q", err, kind, fix, tc.kind, tc.fix)
			}
		}
	}
}
