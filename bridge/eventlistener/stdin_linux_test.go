package eventlistener

import (
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"time"
)

// stdin is one over a pipe, and the pipe's other end.
func stdin(t *testing.T) (*Stdin, *os.File) {
	t.Helper()
	var p [2]int
	if err := syscall.Pipe2(p[:], syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	s, err := newStdin(p[0])
	if err != nil {
		t.Fatal(err)
	}
	w := os.NewFile(uintptr(p[1]), "supervisord's end")
	t.Cleanup(func() {
		_ = w.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, w
}

// What is written comes, at whatever pace, and then the end.
func TestStdinReads(t *testing.T) {
	s, w := stdin(t)
	pauses := []time.Duration{0, 0, spinFor / 2, 0, 5 * time.Millisecond, spinFor / 2, 20 * time.Millisecond}
	go func() {
		for i, pause := range pauses {
			time.Sleep(pause)
			_, _ = w.Write([]byte{byte(i)})
		}
		time.Sleep(time.Millisecond)
		_ = w.Close()
	}()
	got, err := io.ReadAll(s)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(pauses) {
		t.Fatalf("%d bytes, not %d", len(got), len(pauses))
	}
	for i, b := range got {
		if int(b) != i {
			t.Errorf("byte %d is %d", i, b)
		}
	}
}

// A deadline ends a read that sleeps, one that is to come, and none after it was
// taken back.
func TestStdinDeadline(t *testing.T) {
	s, w := stdin(t)
	var b [8]byte
	set := func(at time.Time) {
		t.Helper()
		if err := s.SetReadDeadline(at); err != nil {
			t.Fatal(err)
		}
	}
	for _, burst := range []bool{false, true} {
		s.burst = burst
		set(time.Now().Add(10 * time.Millisecond))
		begun := time.Now()
		if n, err := s.Read(b[:]); !errors.Is(err, os.ErrDeadlineExceeded) || n != 0 {
			t.Errorf("read %d bytes, %v", n, err)
		}
		if took := time.Since(begun); took < 10*time.Millisecond {
			t.Errorf("the deadline came after %v", took)
		}
		set(time.Time{})
		time.AfterFunc(10*time.Millisecond, func() { set(time.Unix(1, 0)) })
		for range 2 {
			if _, err := s.Read(b[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read with a deadline that came while it slept: %v", err)
			}
		}
		set(time.Time{})
		if _, err := w.WriteString("event"); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Read(b[:]); err != nil || string(b[:n]) != "event" {
			t.Errorf("read %q, %v", b[:n], err)
		}
	}
}

// The pipe that wakes the reader may be full.
func TestStdinManyDeadlines(t *testing.T) {
	s, w := stdin(t)
	for range 100_000 {
		if err := s.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Read(make([]byte, 8)); n != 1 || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

// A reader that nothing comes to costs no processor time, whatever came before.
func TestStdinSleeps(t *testing.T) {
	s, w := stdin(t)
	b := make([]byte, 8)
	for range 3 {
		_, _ = w.WriteString("x")
		if _, err := s.Read(b); err != nil {
			t.Fatal(err)
		}
	}
	if s.spins && !s.burst {
		t.Error("three events at once are no burst")
	}
	time.AfterFunc(500*time.Millisecond, func() { _, _ = w.WriteString("x") })
	before := usage(t)
	if _, err := s.Read(b); err != nil {
		t.Fatal(err)
	}
	if used := usage(t) - before; used > 100*time.Millisecond {
		t.Errorf("half a second of waiting took %v of processor time", used)
	}
	if s.burst {
		t.Error("still a burst")
	}
}

func usage(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
