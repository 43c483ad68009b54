package eventlistener_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"supernats/bridge/eventlistener"
)

// childEnv makes the test binary a listener; its value is how it ends.
const (
	childEnv   = "EVENTLISTENER_TEST_CHILD"
	endClosed  = "closed"
	endContext = "context"
)

// child takes its stdio, and prints wherever a library might. It ends when
// supervisord closes the stream, or with the context after its first event.
func child(end string) int {
	in, out, err := eventlistener.TakeStdio()
	if err != nil {
		return 3
	}
	fmt.Println("stray: fmt")
	_, _ = os.NewFile(1, "descriptor 1").WriteString("stray: descriptor\n")
	sh := exec.Command("sh", "-c", "echo stray: child")
	sh.Stdout = os.Stdout
	if err := sh.Run(); err != nil {
		return 4
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l, err := eventlistener.New(eventlistener.Config{In: in, Out: out, Accept: func(_ context.Context, _, payload []byte) error {
		fmt.Printf("stray: %s\n", payload)
		if end == endContext {
			cancel()
		}
		return nil
	}})
	if err != nil {
		return 5
	}
	want := map[string]error{endClosed: eventlistener.ErrClosed, endContext: context.Canceled}[end]
	if err := l.Run(ctx); !errors.Is(err, want) {
		fmt.Println(err)
		return 6
	}
	if err := errors.Join(in.Close(), out.Close()); err != nil {
		fmt.Println(err)
		return 7
	}
	return 0
}

// Nothing but the protocol reaches the descriptor that supervisord reads.
func TestTakeStdio(t *testing.T) {
	for _, end := range []string{endClosed, endContext} {
		t.Run(end, func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), childEnv+"="+end, "GORACE=atexit_sleep_ms=0")
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(in, python("TICK_5", 1, "when:1")); err != nil {
				t.Error(err)
			}
			if end == endClosed {
				_ = in.Close() // else the child ends although its stdin stays open
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v\n%s", err, &stderr)
			}
			if diff := cmp.Diff(ready+okReady, stdout.String()); diff != "" {
				t.Errorf("stdout (-want +got):\n%s", diff)
			}
			want := []string{"stray: fmt", "stray: descriptor", "stray: child", "stray: when:1"}
			if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(stderr.String()), "\n")); diff != "" {
				t.Errorf("stderr (-want +got):\n%s", diff)
			}
		})
	}
}
