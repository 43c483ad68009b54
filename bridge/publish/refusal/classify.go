package refusal

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema/natsconn"
)

// Kinds of errors that keep messages from the stream and that are an answer of the stream or
// the server.
const (
	KindTTL = "ttl"

	kindForeign     = "foreign"
	kindFull        = "full"
	kindNoJetStream = "no JetStream"
	kindNoStream    = "no stream"
	kindPermission  = "permission"
	kindResources   = "resources"
	kindTooSmall    = "too small"
	kindAPI         = "api " // and the code
)

// Causes of the troubles that kinds of errors stand for.
const (
	// CauseRights: the server does not let us publish.
	CauseRights = "nats-rights"
	// CauseRefuses: the stream does not take our messages, or there is none.
	CauseRefuses = "stream-refuses"
	// CauseTTL: the stream takes no time to live.
	CauseTTL = "no-ttl"
	// CauseTooLarge: something could not be published, or not as a whole.
	CauseTooLarge = "message-too-large"
)

// What fixes an error of each kind.
const (
	fixForeign = "find what else answers on supervisor.>: nats sub 'supervisor.>' and " +
		"nats stream find --subject 'supervisor.>'"
	fixNoJetStream = "enable JetStream: nats-server -js, or jetstream in the account's limits"
	fixNoStream    = "start `supernats consume`, or create the stream: nats stream add SUPERVISOR --subjects " +
		"'supervisor.event.>,supervisor.snapshot.*,supervisor.bridge.>'; is JetStream enabled (nats-server -js)?"
	fixPermission = "allow this user to publish supervisor.event.HOST.>, supervisor.bridge.HOST.> and " +
		"supervisor.snapshot.HOST and to subscribe to _INBOX_HOST.>, HOST being its --host; " +
		"or check the --nats-* credentials"
	fixAuthorization = "check the --nats-* credentials"
	fixTLS           = "--nats-tls-ca has to be the authority of the server's certificate, and --nats-tls-cert and " +
		"--nats-tls-key ours, if the server asks for one"
	fixTTL = "the stream was made without message TTL; events are sent without it now " +
		"(nats stream edit SUPERVISOR --allow-msg-ttl)"
	fixTooSmall = "raise max_payload of nats-server and max_msg_size of the stream " +
		"(nats stream edit SUPERVISOR --max-msg-size=-1)"
	fixTooBig = "raise max_payload of nats-server, or nats stream edit SUPERVISOR --max-msg-size=-1; " +
		"until then larger events are sent in parts"
	fixFull      = "make room in the stream: nats stream edit SUPERVISOR --max-bytes 8GB --discard old"
	fixResources = "make room on the server's disk, or raise max_file_store or the account's limits: " +
		"nats server report jetstream, nats account info"
	fixTimeout = "is the stream healthy, and may this user publish on it and subscribe to its inbox? " +
		"nats stream info SUPERVISOR"
	fixConnection = "is nats-server running at --nats-url?"
	fixAPI        = "nats stream info SUPERVISOR"
)

// Classify returns the kind of an error, by which it is logged once, and what fixes it.
func Classify(err error) (kind, fix string) {
	var foreign *Foreign
	var network *net.OpError
	var file *natsconn.FileError

	// The order matters: an error may wrap another one that is more general.
	switch {
	case errors.As(err, &foreign), errors.Is(err, jetstream.ErrInvalidJSAck):
		return kindForeign, fixForeign
	case isAny(err, jetstream.ErrJetStreamNotEnabled, jetstream.ErrJetStreamNotEnabledForAccount):
		return kindNoJetStream, fixNoJetStream
	case isAny(err, nats.ErrNoResponders, jetstream.ErrNoStreamResponse, jetstream.ErrStreamNotFound):
		return kindNoStream, fixNoStream
	case errors.Is(err, nats.ErrPermissionViolation):
		return kindPermission, fixPermission
	case errors.Is(err, nats.ErrAuthorization):
		return "authorization", fixAuthorization
	case errors.As(err, &file):
		return "file " + file.Flag, "fix the file that --" + file.Flag + " names; it is read again with every try"

	// tls.Conn calls an alert of the other side a remote error.
	case errors.Is(err, nats.ErrTLS), errors.As(err, &network) && network.Op == "remote error":
		return "tls", fixTLS

	case IsTTLDisabled(err):
		return KindTTL, fixTTL
	case errors.Is(err, ErrTooSmall):
		return kindTooSmall, fixTooSmall
	case IsTooBig(err), errors.Is(err, nats.ErrMaxPayload):
		return "too big", fixTooBig
	case Code(err) == codeFull:
		return kindFull, fixFull
	case Code(err) == codeResources, Code(err) == codeNoStorage, Code(err) == codeNoMemory:
		return kindResources, fixResources

	case isAny(err, nats.ErrTimeout, jetstream.ErrAsyncPublishTimeout):
		return "timeout", fixTimeout
	case isConnection(err):
		return "connection", fixConnection
	}

	if code := Code(err); code != 0 {
		return fmt.Sprint(kindAPI, code), fixAPI
	}
	return err.Error(), fixConnection
}

// isConnection reports whether an error means that there is no connection. Its text cannot be
// the kind: with several servers their addresses take turns in it.
func isConnection(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) || isAny(err, nats.ErrDisconnected, nats.ErrReconnectBufExceeded,
		nats.ErrConnectionReconnecting, nats.ErrNoServers, nats.ErrConnectionClosed)
}

func isAny(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// CauseOf returns the cause of the trouble that a kind of error stands for. It is empty if
// there is no connection or no answer: then a report would not get out either.
func CauseOf(kind string) string {
	switch kind {
	case kindPermission:
		return CauseRights
	case kindTooSmall:
		return CauseTooLarge
	case kindForeign, kindNoJetStream, kindNoStream, kindFull, kindResources:
		return CauseRefuses
	case KindTTL:
		return CauseTTL
	}

	if strings.HasPrefix(kind, kindAPI) {
		return CauseRefuses
	}
	return ""
}
