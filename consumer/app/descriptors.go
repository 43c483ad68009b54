package app

import (
	"math"
	"syscall"
)

const (
	// ownDescriptors are left for the store of the embedded server (one file for each
	// stream, a second one while it changes), for receivers, logs and pages.
	ownDescriptors = 40
	// maxConnections is the default of nats-server.
	maxConnections = 64 << 10
)

// descriptors returns how many files and connections this process may have open.
// The Go runtime has raised the limit to the hard one already.
func descriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return int(min(limit.Cur, math.MaxInt32))
}

// connections returns how many connections the embedded server may accept, so that
// a flood of them leaves descriptors for its store: half of those that are left,
// since one that is too many is open until it was told so.
func connections(descriptors int) int {
	return min(maxConnections, max(8, (descriptors-ownDescriptors)/2))
}

// pageConnections returns how many connections the HTTP address serves at once.
func pageConnections(descriptors int) int {
	return min(maxClients, max(4, (descriptors-ownDescriptors)/4))
}
