package supervisord

import (
	"errors"
	"fmt"
	"net/http"
)

var (
	// ErrUnauthorized means that supervisord wants another user or password.
	ErrUnauthorized = errors.New("supervisord refuses the user or password")
	// ErrNotXMLRPC means that something else than supervisord's XML-RPC answers.
	ErrNotXMLRPC = errors.New("answer is not XML-RPC")
	// ErrTooLarge means that an answer was longer than MaxResponse.
	ErrTooLarge = errors.New("answer of supervisord is too large")
)

// Fault is supervisord's own answer that a call cannot be answered.
type Fault struct {
	Code   int
	String string
}

// ShuttingDown reports that supervisord is stopping or restarting.
func (f *Fault) ShuttingDown() bool { return f.Code == FaultShutdownState }

func (f *Fault) Error() string {
	return fmt.Sprintf("supervisord answers fault %d: %s", f.Code, f.String)
}

// Codes of faults (xmlrpc.py, class Faults).
const (
	FaultUnknownMethod = 1
	// FaultShutdownState answers every call from the moment that supervisord is asked to
	// stop or to restart (rpcinterface.py _update).
	FaultShutdownState = 6
	FaultBadName       = 10
	FaultNoFile        = 20
	FaultFailed        = 30
	// FaultAlreadyStarted answers startProcess.
	FaultAlreadyStarted = 60
)

// StatusError is an answer whose HTTP status is neither 200 nor 401.
type StatusError struct {
	Code int
}

func (e *StatusError) Error() string {
	if e.Code == http.StatusInternalServerError {
		// http.py logs the traceback; the usual one is a log with bytes that are
		// no UTF-8 (rpcinterface.py readLog, as_string).
		return "supervisord answers HTTP 500; its own log says why"
	}
	return fmt.Sprintf("supervisord answers HTTP %d %s", e.Code, http.StatusText(e.Code))
}
