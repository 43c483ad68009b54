package deathwatch

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The kernel's answer to one listener goes to all: in another namespace, where it gives
// none, that to a bridge of the machine must not be taken for it.
func TestAnswerToAnother(t *testing.T) {
	needConnector(t)
	c, err := openConnector(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	other, err := openConnector(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()

	for end := time.Now().Add(10 * time.Second); ; {
		if time.Now().After(end) {
			t.Fatal("the answer to another one has not come")
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}, 100)
		msg, err := c.next()
		if err != nil || msg == nil || what(msg) != whatAck {
			continue
		}
		if c.isAnswer(msg) {
			t.Fatal("the answer to another one is taken for ours")
		}
		return
	}
}
