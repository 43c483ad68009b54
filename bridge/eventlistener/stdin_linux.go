package eventlistener

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// spinFor is how long a read in a burst polls for the next event before it sleeps.
// supervisord needs some 50 µs from an answer to the next event; to put a processor to
// sleep in between and to wake it takes longer than that, on a virtual machine twice as
// long.
const spinFor = 100 * time.Microsecond

// Stdin is the descriptor on which supervisord writes.
//
// A read sleeps in the kernel: by way of the runtime's poller each event would cost a read
// in vain and a thread more to wake. In a burst, when the event before it has come within
// spinFor, it does not sleep at once. It yields between two looks, so it takes no time from
// anything that has work to do.
//
// Read is for one goroutine at a time, SetReadDeadline for any.
type Stdin struct {
	fd   int
	wake [2]int // a pipe that wakes a read whose deadline changes
	// deadline is that of the current and of later reads.
	deadline atomic.Pointer[time.Time]
	spins    bool // there is more than one processor
	burst    bool // the last read had not long to wait; only Read uses it
}

func newStdin(fd int) (*Stdin, error) {
	s := &Stdin{fd: fd, spins: runtime.GOMAXPROCS(0) > 1}
	s.deadline.Store(&time.Time{})
	if err := syscall.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("prepare standard input: %w", err)
	}
	if err := syscall.Pipe2(s.wake[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		return nil, fmt.Errorf("make a pipe to wake the reader of standard input: %w", err)
	}
	return s, nil
}

// Read implements io.Reader. Its error is os.ErrDeadlineExceeded when the
// deadline has passed.
func (s *Stdin) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}

	begun := time.Now()
	for {
		if d := *s.deadline.Load(); !d.IsZero() && !time.Now().Before(d) {
			return 0, os.ErrDeadlineExceeded
		}

		n, err := syscall.Read(s.fd, b)
		switch {
		case err == nil && n == 0:
			return 0, io.EOF
		case err == nil:
			s.burst = s.spins && time.Since(begun) < 2*spinFor
			return n, nil
		case errors.Is(err, syscall.EINTR):
		case !errors.Is(err, syscall.EAGAIN):
			return 0, &os.PathError{Op: "read", Path: "standard input", Err: err}
		case s.burst && time.Since(begun) < spinFor:
			_, _, _ = syscall.Syscall(syscall.SYS_SCHED_YIELD, 0, 0, 0)
		default:
			if err := s.sleep(); err != nil {
				return 0, err
			}
		}
	}
}

// sleep returns when there may be something to read, or the deadline has passed
// or changed.
func (s *Stdin) sleep() error {
	var timeout *unix.Timespec
	if d := *s.deadline.Load(); !d.IsZero() {
		t := unix.NsecToTimespec(int64(max(0, time.Until(d)) + time.Microsecond))
		timeout = &t
	}

	fds := []unix.PollFd{
		{Fd: int32(s.fd), Events: unix.POLLIN},
		{Fd: int32(s.wake[0]), Events: unix.POLLIN},
	}
	_, err := unix.Ppoll(fds, timeout, nil)
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("wait for standard input: %w", err)
	}

	if fds[1].Revents != 0 {
		var rest [64]byte
		_, _ = syscall.Read(s.wake[0], rest[:])
	}
	return nil
}

// SetReadDeadline bounds the read that is under way and those to come; a zero t is no
// bound.
func (s *Stdin) SetReadDeadline(t time.Time) error {
	s.deadline.Store(&t)
	_, err := syscall.Write(s.wake[1], []byte{0})
	if err != nil && !errors.Is(err, syscall.EAGAIN) { // full: the read wakes up already
		return fmt.Errorf("wake the reader of standard input: %w", err)
	}
	return nil
}

// Close closes the descriptors. No read may be under way.
func (s *Stdin) Close() error {
	return errors.Join(syscall.Close(s.fd), syscall.Close(s.wake[0]), syscall.Close(s.wake[1]))
}
