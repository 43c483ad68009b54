package deathwatch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// connector is the process connector of the kernel (linux/cn_proc.h, connector(7)):
// it reports each fork and each exit of a child of supervisord, with the wait status,
// in the order in which they happen, and also of those that are over in a millisecond.
// A socket filter keeps all other processes of the machine away from us.
//
// It is there in the initial pid, user and network namespaces only, so not in most
// containers, and before Linux 6.6 with CAP_NET_ADMIN only. What parent a process had
// is said from Linux 4.18 on.
//
// A message:
//
//	0           16         36      40    44           52
//	┌───────────┬──────────┬───────┬─────┬────────────┬──────────────────────────────┐
//	│ nlmsghdr  │ cn_msg   │ what  │ cpu │ ktime, ns  │ fork: parent pid, tgid;      │
//	│           │          │       │     │            │       child pid, tgid        │
//	│           │          │       │     │            │ exit: pid, tgid, status,     │
//	│           │          │       │     │            │       signal, parent pid, tgid│
//	└───────────┴──────────┴───────┴─────┴────────────┴──────────────────────────────┘
type connector struct {
	fd  int
	buf []byte
	// mark is in what we ask and comes back, plus one, in the answer's ack. Every
	// listener gets the answers to all others too.
	mark uint32
}

const (
	cnIndex, cnValue = 1, 1 // CN_IDX_PROC, CN_VAL_PROC: the multicast group too
	cnListen         = 1    // PROC_CN_MCAST_LISTEN
	cnIgnore         = 2    // PROC_CN_MCAST_IGNORE

	whatAck  = 0x00000000 // PROC_EVENT_NONE
	whatFork = 0x00000001 // PROC_EVENT_FORK
	whatExit = 0x80000000 // PROC_EVENT_EXIT

	atAck                  = 28 // of cn_msg
	atWhat, atTime, atData = 36, 44, 52
	cnLength               = 76 // of a message

	// Numbers of a fork and of an exit, by their place in the data.
	forkParent, forkPID, forkTGID             = 1, 2, 3
	exitPID, exitTGID, exitStatus, exitParent = 0, 1, 2, 5

	// cnBuffer is asked for: 500 programs that die at once are 1,000 messages of less
	// than 1 KB of the kernel's memory each.
	cnBuffer = 4 << 20
	// ackWithin is how long the kernel is waited for. It answers before sendto returns,
	// and not at all in other namespaces.
	ackWithin = 100 // ms
	// maxBefore bounds what is read before the answer.
	maxBefore = 16 << 10
)

var (
	errNoConnector    = errors.New("no process connector")
	errOtherNamespace = errors.New("the kernel does not answer: another namespace")
)

// openConnector subscribes to the children of a process.
func openConnector(parent int) (*connector, error) {
	const kind = unix.SOCK_DGRAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	fd, err := unix.Socket(unix.AF_NETLINK, kind, unix.NETLINK_CONNECTOR)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoConnector, err)
	}
	c := &connector{fd: fd, buf: make([]byte, 4<<10), mark: rand.Uint32()}
	if err := c.subscribe(parent); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("%w: %w", errNoConnector, err)
	}
	return c, nil
}

func (c *connector) subscribe(parent int) error {
	if unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, cnBuffer) != nil {
		_ = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, cnBuffer) // as much as we may
	}

	// Before the group is joined, so that nothing else ever waits in the buffer.
	filter := childrenOf(parent)
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.SetsockoptSockFprog(c.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		return fmt.Errorf("attach a filter: %w", err)
	}
	if err := unix.Bind(c.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: cnIndex}); err != nil {
		return fmt.Errorf("join the group: %w", err)
	}
	if err := c.control(cnListen); err != nil {
		return err
	}
	return c.readAnswer()
}

// readAnswer reads the kernel's answer. It is there by now, after the answers to others, or
// never comes; how long reading takes does not matter. What comes before it is dropped: the
// children are looked for after this.
func (c *connector) readAnswer() error {
	waited := false
	for range maxBefore {
		msg, err := c.next()

		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN) && !waited:
			waited = true
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}, ackWithin)
		case errors.Is(err, unix.EAGAIN):
			return errOtherNamespace
		case err != nil:
			return err
		case msg != nil && c.isAnswer(msg):
			if errno := unix.Errno(binary.NativeEndian.Uint32(msg[atData:])); errno != 0 {
				return errno
			}
			return nil
		}
	}
	return errOtherNamespace
}

// isAnswer reports whether a message is the answer to what we have asked (cn_proc_ack).
// In another namespace there is none, but those to others come all the same. The
// sequence of an answer says nothing: send_msg counts it for each processor.
func (c *connector) isAnswer(msg []byte) bool {
	return what(msg) == whatAck && binary.NativeEndian.Uint32(msg[atAck:]) == c.mark+1
}

// control subscribes or ends the subscription.
func (c *connector) control(op uint32) error {
	b := make([]byte, 40)
	order := binary.NativeEndian
	order.PutUint32(b[0:], uint32(len(b)))
	order.PutUint16(b[4:], unix.NLMSG_DONE)
	order.PutUint32(b[12:], uint32(os.Getpid()))
	order.PutUint32(b[16:], cnIndex)
	order.PutUint32(b[20:], cnValue)
	order.PutUint32(b[atAck:], c.mark)
	order.PutUint16(b[32:], 4) // length of what follows
	order.PutUint32(b[36:], op)
	return unix.Sendto(c.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// next returns a message of the kernel, nil where something else came. The error is
// EAGAIN when there is none, ENOBUFS when some were dropped.
func (c *connector) next() ([]byte, error) {
	n, from, err := unix.Recvfrom(c.fd, c.buf, unix.MSG_DONTWAIT)
	if err != nil {
		return nil, err
	}
	// Anybody may send to a netlink socket; only the kernel is port 0.
	if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 || n < cnLength {
		return nil, nil
	}
	return c.buf[:n], nil
}

func (c *connector) close() {
	// Before Linux 6.6 the kernel counts the subscription for ever without it.
	_ = c.control(cnIgnore)
	_ = unix.Close(c.fd)
}

func what(msg []byte) uint32 { return binary.NativeEndian.Uint32(msg[atWhat:]) }

// when returns the time of a message by our clock.
func when(msg []byte) time.Time {
	now := time.Now()
	var mono unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono) != nil {
		return now
	}
	ago := mono.Nano() - int64(binary.NativeEndian.Uint64(msg[atTime:]))
	return now.Add(-time.Duration(max(0, ago)))
}

// field returns one of the numbers of a message.
func field(msg []byte, i int) int { return int(int32(binary.NativeEndian.Uint32(msg[atData+4*i:]))) }

// childrenOf is the filter: it passes acknowledgements, and the forks and exits of the
// children of a process, but not those of threads.
func childrenOf(parent int) []unix.SockFilter {
	const (
		load   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		toX    = unix.BPF_MISC | unix.BPF_TAX
		equal  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		equalX = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_X
		give   = unix.BPF_RET | unix.BPF_K

		fork, exit, drop, pass = 4, 10, 16, 17 // places
	)
	of := network(uint32(parent))
	return []unix.SockFilter{
		{Code: load, K: atWhat},
		{Code: equal, K: network(whatAck), Jt: pass - 2},
		{Code: equal, K: network(whatFork), Jt: fork - 3},
		{Code: equal, K: network(whatExit), Jt: exit - 4, Jf: drop - 4},

		{Code: load, K: atData + 4*forkParent}, // fork
		{Code: equal, K: of, Jf: drop - 6},
		{Code: load, K: atData + 4*forkPID},
		{Code: toX},
		{Code: load, K: atData + 4*forkTGID},
		{Code: equalX, Jt: pass - 10, Jf: drop - 10},

		{Code: load, K: atData + 4*exitParent}, // exit
		{Code: equal, K: of, Jf: drop - 12},
		{Code: load, K: atData + 4*exitPID},
		{Code: toX},
		{Code: load, K: atData + 4*exitTGID},
		{Code: equalX, Jt: pass - 16, Jf: drop - 16},

		{Code: give, K: 0},
		{Code: give, K: 0xffff},
	}
}

// network returns what a load of the filter, which is big-endian, makes of a number.
func network(n uint32) uint32 {
	return binary.BigEndian.Uint32(binary.NativeEndian.AppendUint32(nil, n))
}
