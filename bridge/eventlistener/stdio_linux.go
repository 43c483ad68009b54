package eventlistener

import (
	"fmt"
	"os"
	"syscall"
)

// TakeStdio moves the two ends of the protocol out of everybody's reach and
// returns them. From then on descriptor 1 is standard error: a single stray byte
// on it (a library's print, a child that inherited it) would put the listener
// into state UNKNOWN for good (dispatchers.py, handle_listener_state_change).
// Call it first thing in main. The caller closes what it gets.
func TakeStdio() (in *Stdin, out *os.File, err error) {
	fd, err := syscall.Dup(1)
	if err != nil {
		return nil, nil, fmt.Errorf("move standard output aside: %w", err)
	}

	syscall.CloseOnExec(fd)
	if err := syscall.Dup3(2, 1, 0); err != nil {
		return nil, nil, fmt.Errorf("point standard output at standard error: %w", err)
	}

	if in, err = newStdin(0); err != nil {
		return nil, nil, err
	}
	return in, os.NewFile(uintptr(fd), "supervisord's answers"), nil
}
