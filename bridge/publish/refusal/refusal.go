// Package refusal names the reasons for which the server or the stream does not take a
// message, and what fixes each. Errors are classified here, once: by the class the publisher
// decides whether a message is sent again, in another form, or not at all.
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

// ErrTooSmall says that the limits of the server or the stream are too small for almost all
// of our messages.
var ErrTooSmall = errors.New("no message of ours is small enough")

// Foreign is an acknowledgement by something that is not our stream: any responder on the
// subject can answer.
type Foreign struct{ Subject, Got, Want string }

func (e *Foreign) Error() string {
	return fmt.Sprintf("message on %s was acknowledged by %q, not by stream %s", e.Subject, e.Got, e.Want)
}

// Code returns the code of an error of JetStream, 0 for any other error.
func Code(err error) jetstream.ErrorCode {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode
	}
	return 0
}

// IsTTLDisabled reports whether the stream refused a message for its time to live.
func IsTTLDisabled(err error) bool { return Code(err) == codeTTLDisabled }

// IsTooBig reports whether the stream refused a message for its size: the stream's
// max_msg_size is less than the server's max_payload.
func IsTooBig(err error) bool { return Code(err) == codeTooBig }
