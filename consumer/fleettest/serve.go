package fleettest

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// Serve serves connections that speak whatever they like, until the test ends.
func Serve(t *testing.T, serve func(ctx context.Context, c net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	t.Cleanup(func() {
		end()
		_ = l.Close()
	})

	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				defer context.AfterFunc(ctx, func() { _ = c.Close() })()
				serve(ctx, c)
			}()
		}
	}()
	return l.Addr().String()
}

// Script writes a program, and returns the command that runs it.
func Script(t *testing.T, text string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "page")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return []string{file}
}
