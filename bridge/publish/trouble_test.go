package publish

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/schema/natsconn"
)

// Every kind of trouble says what mends it.
func TestClassify(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	for _, tc := range []struct {
		err        error
		kind, mend string // a part of it
	}{
		{errors.New("out of cheese"), "out of cheese", "nats-server"},
		{&foreignAck{"s", "ORDERS", "SUPERVISOR"}, "foreign", "nats stream find"},
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
		{fmt.Errorf("%w: in parts neither", errTooSmall), "too small", "--max-msg-size"},
		{&jetstream.APIError{Code: 503, ErrorCode: 10008}, "api 10008", "nats stream info"},
	} {
		for _, err := range []error{tc.err, fmt.Errorf("publish on s: %w", tc.err)} {
			kind, mend := classify(err)
			if !strings.HasSuffix(kind, tc.kind) || !strings.Contains(mend, tc.mend) {
				t.Errorf("%v is %q, mended by %q; want %q and %q", err, kind, mend, tc.kind, tc.mend)
			}
		}
	}
}

// An error that repeats is logged once, and once that it is over.
func TestTrouble(t *testing.T) {
	l := newLog()
	tr := trouble{log: zerolog.New(l)}
	tr.over()
	for range 3 {
		for _, address := range []string{"10.0.0.1:4222", "10.0.0.2:4222"} {
			tr.report(fmt.Errorf("connect to NATS: %w", &net.OpError{Op: "dial", Net: "tcp", Err: errors.New(address + " refuses")}))
		}
	}
	tr.report(nats.ErrTimeout)
	tr.over()
	tr.over()
	tr.report(nats.ErrTimeout)
	want := []string{
		`{"level":"warn","error":"connect to NATS: dial tcp: 10.0.0.1:4222 refuses","mend":"is nats-server running at --nats-url?",`,
		`{"level":"warn","error":"nats: timeout","mend":"is the stream healthy, and may this user publish on it and subscribe to its inbox? nats stream info SUPERVISOR",`,
		`{"level":"info","errors":7,"message":"events are getting into JetStream again"}`,
		`{"level":"warn","error":"nats: timeout","mend":"is the stream healthy, and may this user publish on it and subscribe to its inbox? nats stream info SUPERVISOR",`,
	}
	got := strings.Split(strings.TrimSpace(l.String()), "\n")
	for i := range got {
		got[i], _, _ = strings.Cut(got[i], `"message":"events are not`)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}
