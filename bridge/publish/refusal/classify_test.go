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
		{errors.New("out of cheese"), "out of cheese", "nats-server"},
		{&Foreign{"s", "ORDERS", "SUPERVISOR"}, "foreign", "nats stream find"},
		{jetstream.ErrInvalidJSAck, "foreign", "nats sub"},
		{nats.ErrNoResponders, "no stream", "nats stream add SUPERVISOR"},
		{jetstream.ErrNoStreamResponse, "no stream", "supernats consume"},
		{jetstream.ErrStreamNotFound, "no stream", "supernats consume"},
		{jetstream.ErrJetStreamNotEnabled, "no JetStream", "nats-server -js"},
		{jetstream.ErrJetStreamNotEnabledForAccount, "no JetStream", "account"},
		{nats.ErrPermissionViolation, "permission", "allow this user to publish"},
		{nats.ErrAuthorization, "authorization", "--nats-*"},
		{&jetstream.APIError{Code: 400, ErrorCode: codeTTLDisabled}, "ttl", "--allow-msg-ttl"},
		{nats.ErrTimeout, "timeout", "nats stream info"},
		{jetstream.ErrAsyncPublishTimeout, "timeout", "nats stream info"},
		{nats.ErrDisconnected, "connection", "--nats-url"},
		{nats.ErrReconnectBufExceeded, "connection", "--nats-url"},
		{nats.ErrConnectionReconnecting, "connection", "--nats-url"},
		{nats.ErrNoServers, "connection", "--nats-url"},
		{nats.ErrConnectionClosed, "connection", "--nats-url"},
		{&natsconn.FileError{Flag: "nats-nkey", File: "/f", Err: errors.New("x")}, "file nats-nkey", "--nats-nkey"},
		{nats.ErrTLS, "tls", "--nats-tls-ca"},
		{fmt.Errorf("%w: %w", nats.ErrTLS, refused), "tls", "--nats-tls-ca"},
		{&net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}, "tls", "--nats-tls-cert"},
		{refused, "connection", "--nats-url"},
		{&jetstream.APIError{Code: 503, ErrorCode: 10077}, "full", "--max-bytes"},
		{&jetstream.APIError{Code: 503, ErrorCode: 10023}, "resources", "disk"},
		{&jetstream.APIError{Code: 400, ErrorCode: 10054}, "too big", "--max-msg-size"},
		{fmt.Errorf("%w: in parts neither", ErrTooSmall), "too small", "--max-msg-size"},
		{&jetstream.APIError{Code: 503, ErrorCode: 10008}, "api 10008", "nats stream info"},
	} {
		for _, err := range []error{tc.err, fmt.Errorf("publish on s: %w", tc.err)} {
			kind, fix := Classify(err)
			if !strings.HasSuffix(kind, tc.kind) || !strings.Contains(fix, tc.fix) {
				t.Errorf("%v is %q, fixed by %q; want %q and %q", err, kind, fix, tc.kind, tc.fix)
			}
		}
	}
}
