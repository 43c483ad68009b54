// This file is added to package time of the programs that shall see the clock
// jump: Now adds what it returns.
package time

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

var chaosOffset = func() *int64 {
	name, ok := syscall.Getenv("CHAOS_CLOCK")
	if !ok {
		return new(int64)
	}
	fd, err := syscall.Open(name, syscall.O_RDONLY, 0)
	if err != nil {
		panic("time: open " + name + ": " + err.Error())
	}
	defer syscall.Close(fd)
	b, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic("time: map " + name + ": " + err.Error())
	}
	return (*int64)(unsafe.Pointer(&b[0]))
}()

// chaosSeconds is how far the clock is off.
func chaosSeconds() int64 { return atomic.LoadInt64(chaosOffset) }
