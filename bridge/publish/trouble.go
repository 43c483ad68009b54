package publish

import (
	"errors"
	"fmt"
	"net"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/schema/natsconn"
)

// foreignAck is the answer of something that is not our stream.
type foreignAck struct{ subject, got, want string }

func (e *foreignAck) Error() string {
	return fmt.Sprintf("message on %s was acknowledged by %q, not by stream %s", e.subject, e.got, e.want)
}

// Error codes of nats-server (server/errors.json).
const (
	codeTooBig      = 10054 // JSStreamMessageExceedsMaximumErr
	codeTTLDisabled = 10166 // JSMessageTTLDisabledErr
	codeFull        = 10077 // JSStreamStoreFailedF, with what the store said
	codeResources   = 10023 // JSInsufficientResourcesErr
	codeNoStorage   = 10047 // JSStorageResourcesExceededErr
	codeNoMemory    = 10028 // JSMemoryResourcesExceededErr
)

func isTTLDisabled(err error) bool { return apiCode(err) == codeTTLDisabled }

// isTooBig reports that the stream takes no message of that size: its max_msg_size
// is less than the server's max_payload.
func isTooBig(err error) bool { return apiCode(err) == codeTooBig }

// apiCode is the code of JetStream's error, 0 if it is none.
func apiCode(err error) jetstream.ErrorCode {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode
	}
	return 0
}

// trouble logs an error that repeats once, each kind of it, and once that all is
// over.
type trouble struct {
	log   zerolog.Logger
	kinds map[string]int // how often each came since all was well
}

func (t *trouble) report(err error) {
	kind, mend := classify(err)
	if t.kinds == nil {
		t.kinds = map[string]int{}
	}
	if t.kinds[kind]++; t.kinds[kind] > 1 {
		return
	}
	t.log.Warn().Err(err).Str("mend", mend).Msg("events are not getting into JetStream; they wait in the spool")
}

func (t *trouble) over() {
	if t.kinds == nil {
		return
	}
	errors := 0
	for _, n := range t.kinds {
		errors += n
	}
	t.log.Info().Int("errors", errors).Msg("events are getting into JetStream again")
	t.kinds = nil
}

// tooBig is an event that cannot be divided into messages as small as the stream
// wants them.
type tooBig struct{ err error }

func (e *tooBig) Error() string { return "message is too big for the stream: " + e.err.Error() }
func (e *tooBig) Unwrap() error { return e.err }

// sayDuplicate tells that the stream refused what was sent for the first time: it
// has another message of that id. It is said again each time the number has doubled.
func (p *Publisher) sayDuplicate(id string) {
	p.duplicates++
	if p.cfg.Duplicate != nil {
		p.cfg.Duplicate()
	}
	if p.duplicates&(p.duplicates-1) != 0 {
		return
	}
	p.cfg.Log.Error().Str("id", id).Uint64("events", p.duplicates).
		Str("mend", "nothing, if another listener of this supervisord publishes under the same host; else give each supervisord its own --host").
		Msg("the stream already had an event that was sent for the first time, and did not store it again")
}

// classify names an error, so that it is logged once, and what mends it.
func classify(err error) (kind, mend string) {
	var foreign *foreignAck
	var network *net.OpError
	var big *tooBig
	var file *natsconn.FileError
	switch {
	case errors.As(err, &foreign), errors.Is(err, jetstream.ErrInvalidJSAck):
		return "foreign", "find what else answers on supervisor.>: nats sub 'supervisor.>' and nats stream find --subject 'supervisor.>'"
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return "no JetStream", "enable JetStream: nats-server -js, or jetstream in the account's limits"
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, jetstream.ErrStreamNotFound):
		return "no stream", "start `supernats consume`, or create the stream: nats stream add SUPERVISOR --subjects 'supervisor.event.>,supervisor.snapshot.*,supervisor.bridge.>'; is JetStream enabled (nats-server -js)?"
	case errors.Is(err, nats.ErrPermissionViolation):
		return "permission", "allow this user to publish supervisor.event.HOST.>, supervisor.bridge.HOST.> and supervisor.snapshot.HOST and to subscribe to _INBOX_HOST.>, HOST being its --host; or check the --nats-* credentials"
	case errors.Is(err, nats.ErrAuthorization):
		return "authorization", "check the --nats-* credentials"
	case errors.As(err, &file):
		return "file " + file.Flag, "mend the file that --" + file.Flag + " names; it is read again with every try"
	case errors.Is(err, nats.ErrTLS), errors.As(err, &network) && network.Op == "remote error": // tls.Conn calls an alert so
		return "tls", "--nats-tls-ca has to be the authority of the server's certificate, and --nats-tls-cert and --nats-tls-key ours, if the server asks for one"
	case isTTLDisabled(err):
		return "ttl", "the stream was made without message TTL; events are sent without it now (nats stream edit SUPERVISOR --allow-msg-ttl)"
	case isTooBig(err), errors.As(err, &big):
		return "too big", "nats stream edit SUPERVISOR --max-msg-size=-1; until then larger events are sent in parts"
	case apiCode(err) == codeFull:
		return "full", "make room in the stream: nats stream edit SUPERVISOR --max-bytes 8GB --discard old"
	case apiCode(err) == codeResources, apiCode(err) == codeNoStorage, apiCode(err) == codeNoMemory:
		return "resources", "make room on the server's disk, or raise max_file_store or the account's limits: nats server report jetstream, nats account info"
	case errors.Is(err, nats.ErrTimeout), errors.Is(err, jetstream.ErrAsyncPublishTimeout):
		return "timeout", "is the stream healthy, and may this user publish on it and subscribe to its inbox? nats stream info SUPERVISOR"
	case errors.Is(err, nats.ErrDisconnected), errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrConnectionReconnecting),
		errors.Is(err, nats.ErrNoServers), errors.Is(err, nats.ErrConnectionClosed),
		// With several servers their addresses take turns in the text.
		errors.As(err, &network):
		return "connection", "is nats-server running at --nats-url?"
	}
	if code := apiCode(err); code != 0 {
		return fmt.Sprint("api ", code), "nats stream info SUPERVISOR"
	}
	return err.Error(), "is nats-server running at --nats-url?"
}
