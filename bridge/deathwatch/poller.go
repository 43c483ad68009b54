package deathwatch

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// poller waits for descriptors, by epoll, and can be interrupted.
type poller struct {
	epoll int
	wake  int // an eventfd in it, that ends a wait
}

func newPoller() (p poller, err error) {
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return p, fmt.Errorf("watch processes: %w", err)
	}
	p.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = p.add(p.wake, unix.EPOLLIN, 0)
	}
	if err != nil {
		_ = unix.Close(p.epoll)
		return p, fmt.Errorf("watch processes: %w", err)
	}
	return p, nil
}

// add adds a descriptor. generation tells those with one number apart.
func (p poller) add(fd int, events uint32, generation int32) error {
	event := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: generation}
	return unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &event)
}

// wait waits for events.
func (p poller) wait(events []unix.EpollEvent) (n int, err error) {
	return unix.EpollWait(p.epoll, events, -1)
}

// interrupt ends a wait, and each one from now on.
func (p poller) interrupt() { _, _ = unix.Write(p.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

func (p poller) close() {
	_ = unix.Close(p.epoll)
	_ = unix.Close(p.wake)
}
