// Package refusal names what the server and the stream answer when they do not take a
// message, and what fixes it. Errors are classified here once: the publisher decides by
// the class whether a message is sent again, in another form, or not at all.
package refusal

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Error codes of nats-server (server/errors.json).
const (
	codeTooBig      = 10054 // JSStreamMessageExceedsMaximumErr
	codeTTLDisabled = 10166 // JSMessageTTLDisabledErr
	codeFull        = 10077 // JSStreamStoreFailedF, with what the store said
	codeResources   = 10023 // JSInsufficientResourcesErr
	codeNoStorage   = 10047 // JSStorageResourcesExceededErr
	codeNoMemory    = 10028 // JSMemoryResourcesExceededErr
)

// ErrTooSmall says that the server or the stream takes next to nothing of ours.
var ErrTooSmall = errors.New("no message of ours is small enough")

// Foreign is the answer of something that is not our stream: any responder on the
// subject can answer.
type Foreign struct{ Subject, Got, Want string }

func (e *Foreign) Error() string {
	return fmt.Sprintf("message on %s was acknowledged by %q, not by stream %s", e.Subject, e.Got, e.Want)
}

// Code is the code of JetStream's error, 0 for any other error.
func Code(err error) jetstream.ErrorCode {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode
	}
	return 0
}

// IsTTLDisabled reports that the stream takes no message with a time to live.
func IsTTLDisabled(err error) bool { return Code(err) == codeTTLDisabled }

// IsTooBig reports that the stream takes no message of that size: its max_msg_size is
// less than the server's max_payload.
func IsTooBig(err error) bool { return Code(err) == codeTooBig }
