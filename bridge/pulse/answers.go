package pulse

import (
	"context"
	"errors"
	"net"
	"sync/atomic"

	"github.com/rs/zerolog"
)

// CauseXMLRPC is the cause of the trouble that supervisord does not answer.
const CauseXMLRPC = "xmlrpc"

// Answers notices that supervisord's XML-RPC does not answer. One time-out is no trouble:
// supervisord answers between other things, and with many programs takes its time.
type Answers struct {
	Log      zerolog.Logger
	Troubles Troubles

	timeouts atomic.Int32 // in a row
}

// Failed takes note of a call that failed.
func (a *Answers) Failed(err error) {
	if isTimeout(err) && a.timeouts.Add(1) < 2 {
		a.Log.Debug().Err(err).Msg("supervisord's XML-RPC has not answered in time")
		return
	}
	a.Troubles.Raise(CauseXMLRPC, "supervisord's XML-RPC does not answer, no process tables: "+err.Error(),
		"check that supervisord's configuration has a [unix_http_server] and [rpcinterface:supervisor] "+
			"and that this user may open its socket; or set --server-url")
}

// Answered takes note of a call that was answered.
func (a *Answers) Answered() {
	a.timeouts.Store(0)
	a.Troubles.Clear(CauseXMLRPC)
}

// Missing reports that supervisord has no XML-RPC for us.
func (a *Answers) Missing() {
	a.Troubles.Raise(CauseXMLRPC, "supervisord has no XML-RPC for us: no process tables",
		"add [unix_http_server] and [rpcinterface:supervisor] to supervisord's configuration, or set --server-url")
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}
