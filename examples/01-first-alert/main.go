// First-alert shows all of supernats on one machine: a real supervisord with a program that
// crashes and one that never starts, supernats-bridge under it, `supernats consume` with a
// NATS server inside, and a mail server. You see each event and each mail as it comes, and
// the table of processes.
//
// Run it with `task demo`. It writes into a directory that is removed at the end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"supernats/bridge/supervisord/supervisordtest"
)

// Exit codes.
const (
	exitDone    = 0
	exitMissing = 1
	exitUsage   = 2
)

func main() { os.Exit(run()) }

func run() int {
	once := flag.Bool("once", false,
		"end when an event, a state and a mail were seen of the crash and of the program that never starts")
	patience := flag.Duration("timeout", 60*time.Second, "how long -once waits for them")
	bin := flag.String("bin", "bin", "directory of supernats-bridge and supernats")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	screen := newScreen(os.Stdout)
	s, err := newStage(*bin, programs, screen)
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		if errors.Is(err, supervisordtest.ErrMissing) || errors.Is(err, os.ErrNotExist) {
			return exitUsage
		}
		return exitMissing
	}
	defer func() {
		if err := s.close(); err != nil {
			fmt.Fprintln(os.Stderr, "demo:", err)
		}
	}()

	if !*once {
		if err := s.watch(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "demo:", err)
			return exitMissing
		}
		return exitDone
	}

	ctx, cancel := context.WithTimeout(ctx, *patience)
	defer cancel()
	if missing := s.once(ctx); len(missing) > 0 {
		fmt.Fprintf(os.Stderr, "\ndemo: not seen within %v:\n", *patience)
		for _, m := range missing {
			fmt.Fprintln(os.Stderr, "  -", m)
		}
		fmt.Fprintln(os.Stderr, s.logs())
		return exitMissing
	}
	fmt.Println("\nAn unexpected exit and a FATAL arrived as an event, as a state and as a mail.")
	return exitDone
}
