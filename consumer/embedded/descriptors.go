package embedded

import (
	"math"
	"syscall"
)

const (
	// OwnDescriptors are left for the store (one file for each stream, a second one while
	// it changes), for receivers, logs and pages.
	OwnDescriptors = 40
	// maxConnections is the default of nats-server.
	maxConnections = 64 << 10
	// unknownLimit is assumed where the limit cannot be read.
	unknownLimit = 1024
)

// Descriptors returns how many files and connections this process may have open.
// The Go runtime has raised the limit to the hard one already.
func Descriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return unknownLimit
	}
	return int(min(limit.Cur, math.MaxInt32))
}

// connections returns how many connections the embedded server may accept, so that
// a flood of them leaves descriptors for its store: half of those that are left,
// since one that is too many is open until it is refused.
func connections(descriptors int) int {
	return min(maxConnections, max(8, (descriptors-OwnDescriptors)/2))
}
