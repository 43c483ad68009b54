package spool

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ackBatch is how many records the child acknowledges at once, at most.
const ackBatch = 16

// child runs in a process of its own until it is killed. It appends records that hold their
// number, acknowledges some, and reports both.
func child(dir string) {
	die := func(err error) {
		fmt.Println("error", err)
		os.Exit(1)
	}
	sync, _ := time.ParseDuration(os.Getenv("SPOOL_TEST_SYNC"))
	s, err := Open(context.Background(), Options{
		Dir: dir, Max: 1 << 30, Sync: sync, SegmentBytes: 20 << 10,
		Lost:   func(l Loss) { die(fmt.Errorf("lost: %+v", l)) },
		Failed: die,
	})
	if err != nil {
		die(err)
	}
	fmt.Println("open")
	if os.Getenv("SPOOL_TEST_IDLE") != "" {
		time.Sleep(time.Hour)
	}
	go func() {
		r := rand.New(rand.NewPCG(3, uint64(time.Now().UnixNano())))
		for n := 0; ; {
			_, ok, err := s.Next()
			if err != nil {
				die(err)
			}
			if ok {
				n++
			} else {
				<-s.More()
			}
			if !ok || n < 1+r.IntN(ackBatch) || s.Stats().Records < 100 {
				if n == ackBatch {
					_ = s.Rewind()
					n = 0
				}
				continue
			}
			if err := s.Ack(n, 0); err != nil {
				die(err)
			}
			n = 0
			fmt.Println("done", s.Checkpoint().Next-1)
		}
	}()
	r := rand.New(rand.NewPCG(4, uint64(time.Now().UnixNano())))
	for {
		size := r.IntN(500)
		if r.IntN(10) == 0 {
			size = r.IntN(20_000)
		}
		number := s.next // only this goroutine changes it
		if err := s.Append(killRecord(number, size)); err != nil {
			die(err)
		}
		fmt.Println("stored", number)
	}
}

func killRecord(number uint64, size int) []byte {
	return append(strconv.AppendUint(nil, number, 10), bytes.Repeat([]byte{' '}, size)...)
}

func startChild(tb testing.TB, dir string, env ...string) (*exec.Cmd, *bufio.Scanner) {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, "SPOOL_TEST_CHILD="+dir)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// TestKill kills a process that uses a spool, again and again: what it reported as stored is
// there, in order, and what it reported as done does not come again. SPOOL_TEST_KILLS is
// how often.
func TestKill(t *testing.T) {
	kills := 50
	if n, err := strconv.Atoi(os.Getenv("SPOOL_TEST_KILLS")); err == nil {
		kills = n
	}
	dir := t.TempDir()
	var stored, done uint64
	for i := range kills {
		cmd, out := startChild(t, dir, "SPOOL_TEST_SYNC="+[]string{"5ms", "-1ns", "0"}[i%3])
		if i%4 > 0 {
			out.Scan() // it has the spool open
		}
		kill := time.AfterFunc(time.Duration(rand.IntN(25_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		before := stored
		for out.Scan() {
			what, number, _ := strings.Cut(out.Text(), " ")
			n, _ := strconv.ParseUint(number, 10, 64)
			switch what {
			case "stored":
				stored = n
			case "done":
				done = n
			case "error":
				t.Fatalf("kill %d: %s", i, out.Text())
			}
		}
		_ = cmd.Wait()
		kill.Stop()

		var first, last uint64
		if err := Dump(dir, func(number uint64, rec []byte) error {
			if first == 0 {
				first, last = number, number-1
			}
			if number != last+1 {
				return fmt.Errorf("record %d after %d", number, last)
			}
			if want := killRecord(number, max(0, len(rec)-len(fmt.Sprint(number)))); !bytes.Equal(rec, want) {
				return fmt.Errorf("record %d is %.20q", number, rec)
			}
			last = number
			return nil
		}); err != nil {
			t.Fatalf("kill %d: %v", i, err)
		}
		if stored == 0 {
			continue
		}
		if first <= done || first > done+1+ackBatch {
			t.Fatalf("kill %d: %d was the last one done, and %d comes next", i, done, first)
		}
		done = first - 1
		if r, err := Inspect(dir); err != nil || r.Missing > 0 {
			t.Fatalf("kill %d: %+v %v", i, r, err)
		}
		if last < stored {
			t.Fatalf("kill %d: %d was stored, and %d is the last one there (%d when it began)", i, stored, last, before)
		}
	}
	s := open(t, Options{Dir: dir, Lost: func(l Loss) { t.Errorf("lost: %+v", l) }})
	got := readAll(t, s)
	closeSpool(t, s)
	t.Logf("%d records, %d done, %d left", stored, done, len(got))
	if stored < uint64(kills) || done == 0 {
		t.Errorf("only %d records were stored and %d done", stored, done)
	}
}

// TestLock opens a spool that this process has open, and then one of a process that is
// killed.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	first := open(t, Options{Dir: dir})
	wait := func(holder int, release func()) {
		t.Helper()
		reported := make(chan string, 9)
		opened := make(chan *Spool)
		go func() {
			s, err := Open(t.Context(), Options{Dir: dir, Max: 1 << 20, Waiting: func(h string) { reported <- h }})
			if err != nil {
				t.Error(err)
			}
			opened <- s
		}()
		if got := <-reported; got != strconv.Itoa(holder) {
			t.Errorf("waits for %q, want %d", got, holder)
		}
		select {
		case <-opened:
			t.Fatal("opened twice")
		case <-time.After(250 * time.Millisecond):
		}
		release()
		s := <-opened
		if len(reported) > 0 {
			t.Error("reported more than once")
		}
		closeSpool(t, s)
	}
	wait(os.Getpid(), func() { closeSpool(t, first) })

	cmd, out := startChild(t, dir, "SPOOL_TEST_IDLE=1")
	if !out.Scan() || out.Text() != "open" {
		t.Fatal(out.Text())
	}
	wait(cmd.Process.Pid, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
	for out.Scan() {
		t.Log(out.Text())
	}
	_ = cmd.Wait()

	// The end of the context ends the waiting.
	first = open(t, Options{Dir: dir})
	defer first.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, Options{Dir: dir, Max: 1}); err == nil || ctx.Err() == nil {
		t.Error(err)
	}
	if err := first.Append([]byte("x")); err != nil {
		t.Error(err)
	}
	first.Finish()
	if err := first.Append([]byte("x")); err != ErrFinished {
		t.Error(err)
	}
	if _, ok, err := first.Next(); !ok || err != nil {
		t.Error(ok, err)
	}
	if _, _, err := first.Next(); err != io.EOF {
		t.Error(err)
	}
}
