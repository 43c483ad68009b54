package publish

import (
	"errors"
	"fmt"
	"net"
	"strings"

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

var (
	// ErrTooLarge is for an Encode that cannot make a record as small as it has to be.
	ErrTooLarge = errors.New("too large to be published")
	// ErrPartly is for an Encode that had to leave something out. Its messages are
	// sent.
	ErrPartly = errors.New("not published as a whole")
)

// AgainRoom is how much longer a message id may become, see divide and again.
const AgainRoom = len("/of/9999999") + againRoom

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
	raise func(cause, text, fix string)
	clear func(cause string)
}

func (t *trouble) report(err error) {
	kind, mend := classify(err)
	if cause := causeOf(kind); cause != "" {
		text := "events are not getting into JetStream: " + err.Error()
		if kind == kindTTL {
			text = "events are stored without their time to live: " + err.Error()
		}
		t.raise(cause, text, mend)
	}
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
	for kind := range t.kinds {
		if cause := causeOf(kind); cause != "" && cause != CauseTTL {
			t.clear(cause)
		}
	}
	t.kinds = nil
}

// errTooSmall says that the server or the stream takes next to nothing of ours.
var errTooSmall = errors.New("no message of ours is small enough")

// Causes of troubles. With those after CauseRefuses all, or nearly all, is stored all
// the same.
const (
	// CauseRights: the server does not let us publish.
	CauseRights = "nats-rights"
	// CauseRefuses: the stream does not take our messages, or there is none.
	CauseRefuses = "stream-refuses"
	// CauseLook: the server does not let us look what the stream has of ours.
	CauseLook = "nats-look"
	// CauseTTL: the stream takes no time to live.
	CauseTTL = "no-ttl"
	// CauseTooLarge: something could not be published, or not as a whole.
	CauseTooLarge = "message-too-large"
	// CauseTaken: somebody else used message ids of ours.
	CauseTaken = "id-taken"
	// CauseConflict: another supervisord publishes under our host's name, and has
	// processes of the same names.
	CauseConflict = "process-conflict"
)

func (p *Publisher) raise(cause, text, fix string) {
	if p.cfg.Raise != nil {
		p.cfg.Raise(cause, text, fix)
	}
}

func (p *Publisher) clear(cause string) {
	if p.cfg.Clear != nil {
		p.cfg.Clear(cause)
	}
}

// sayDuplicate counts messages that the stream had before we sent them for the first
// time: another listener of this supervisord publishes the same. It is logged once.
func (p *Publisher) sayDuplicate(id string, n int) {
	if p.cfg.Duplicate != nil {
		for range n {
			p.cfg.Duplicate()
		}
	}
	if p.duplicates == 0 {
		p.cfg.Log.Info().Str("id", id).
			Msg("the stream already had an event that was sent for the first time: another listener of this supervisord publishes the same events")
	}
	p.duplicates += uint64(n)
}

const kindTTL = "ttl"

// causeOf is the trouble of a kind of error that says that the stream does not want
// what it is sent, empty for the others: with those there is nobody to report to.
func causeOf(kind string) string {
	switch kind {
	case "permission":
		return CauseRights
	case "too small":
		return CauseTooLarge
	case "foreign", "no JetStream", "no stream", "full", "resources":
		return CauseRefuses
	case kindTTL:
		return CauseTTL
	}
	if strings.HasPrefix(kind, "api ") {
		return CauseRefuses
	}
	return ""
}

// classify names an error, so that it is logged once, and what mends it.
func classify(err error) (kind, mend string) {
	var foreign *foreignAck
	var network *net.OpError
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
		return kindTTL, "the stream was made without message TTL; events are sent without it now (nats stream edit SUPERVISOR --allow-msg-ttl)"
	case errors.Is(err, errTooSmall):
		return "too small", "raise max_payload of nats-server and max_msg_size of the stream (nats stream edit SUPERVISOR --max-msg-size=-1)"
	case isTooBig(err), errors.Is(err, nats.ErrMaxPayload):
		return "too big", "raise max_payload of nats-server, or nats stream edit SUPERVISOR --max-msg-size=-1; until then larger events are sent in parts"
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
