package embedded

import (
	"math"
	"syscall"
)

const (
	// ownDescriptors are left for the store (one file for each stream, a second one while
	// it changes), for receivers, logs and pages.
	ownDescriptors = 40
	// maxConnections is the default of nats-server.
	maxConnections = 64 << 10
	// maxPageConnections is what the HTTP address needs at most.
	maxPageConnections = 256
	// unknownLimit is assumed where the limit cannot be read.
	unknownLimit = 1024
)

// descriptors returns how many files and connections this process may have open.
// The Go runtime has raised the limit to the hard one already.
func descriptors() int {
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
	return min(maxConnections, max(8, (descriptors-ownDescriptors)/2))
}

// PageConnections returns how many connections the HTTP address may serve at once.
func PageConnections() int { return pageConnections(descriptors()) }

func pageConnections(descriptors int) int {
	return min(maxPageConnections, max(4, (descriptors-ownDescriptors)/4))
}
