package publish

import (
	"errors"
	"fmt"
	"net"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

var errNotConnected = errors.New("no connection yet")

// foreignAck is the answer of something that is not our stream.
type foreignAck struct{ subject, got, want string }

func (e *foreignAck) Error() string {
	return fmt.Sprintf("message on %s was acknowledged by %q, not by stream %s", e.subject, e.got, e.want)
}

// codeTTLDisabled is JSMessageTTLDisabledErr of nats-server.
const codeTTLDisabled = 10166

func isTTLDisabled(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeTTLDisabled
}

// trouble logs an error that repeats once, and once that it is over.
type trouble struct {
	log   zerolog.Logger
	kind  string
	count int
}

func (t *trouble) report(err error) {
	kind, mend := classify(err)
	if t.count++; kind == t.kind {
		return
	}
	t.kind = kind
	t.log.Warn().Err(err).Str("mend", mend).Msg("events are not getting into JetStream; they wait in the spool")
}

func (t *trouble) over() {
	if t.kind != "" {
		t.log.Info().Int("errors", t.count).Msg("events are getting into JetStream again")
	}
	t.kind, t.count = "", 0
}

// classify names an error, so that it is logged once, and what mends it.
func classify(err error) (kind, mend string) {
	var foreign *foreignAck
	var network *net.OpError
	switch {
	case errors.As(err, &foreign), errors.Is(err, jetstream.ErrInvalidJSAck):
		return "foreign", "find what else answers on supervisor.>: nats sub 'supervisor.>' and nats stream find --subject 'supervisor.>'"
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, jetstream.ErrStreamNotFound):
		return "no stream", "start `supernats consume`, or create the stream: nats stream add SUPERVISOR --subjects 'supervisor.event.>,supervisor.snapshot.*,supervisor.bridge.>'; is JetStream enabled (nats-server -js)?"
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return "no JetStream", "enable JetStream: nats-server -js, or jetstream in the account's limits"
	case errors.Is(err, nats.ErrPermissionViolation), errors.Is(err, nats.ErrAuthorization):
		return "permission", "check the --nats-* credentials and the user's permission to publish supervisor.>"
	case isTTLDisabled(err):
		return "ttl", "the stream was made without message TTL; events are sent without it now (nats stream edit SUPERVISOR --allow-msg-ttl)"
	case errors.Is(err, nats.ErrTimeout), errors.Is(err, jetstream.ErrAsyncPublishTimeout):
		return "timeout", "is the stream healthy, and may this user publish on it? nats stream info SUPERVISOR"
	case errors.Is(err, nats.ErrDisconnected), errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrConnectionReconnecting),
		errors.Is(err, nats.ErrNoServers), errors.Is(err, errNotConnected), errors.Is(err, nats.ErrConnectionClosed),
		// With several servers their addresses take turns in the text.
		errors.As(err, &network):
		return "connection", "is nats-server running at --nats-url?"
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return fmt.Sprint("api ", api.ErrorCode), "nats stream info SUPERVISOR"
	}
	return err.Error(), "is nats-server running at --nats-url?"
}
