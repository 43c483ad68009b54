package bridge

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// full is a spool in which there is no room for another record.
func full(t *testing.T) *memory {
	t.Helper()
	m := newMemory(2 * (overhead + 10))
	for range 2 {
		if err := m.Append(context.Background(), make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// A full spool makes its writer wait.
func TestMemoryFull(t *testing.T) {
	for _, tc := range []struct {
		name string
		free func(m *memory, cancel func())
		want error
	}{
		{"the context ends", func(_ *memory, cancel func()) { cancel() }, context.Canceled},
		{"nothing more is taken", func(m *memory, _ func()) { m.Finish() }, errFinished},
		{"a record is acknowledged", func(m *memory, _ func()) { next(m); _ = m.Ack(1) }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := full(t)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				done := make(chan error, 1)
				go func() { done <- m.Append(ctx, []byte("third")) }()
				synctest.Wait()
				select {
				case err := <-done:
					t.Fatalf("a full spool takes a record: %v", err)
				default:
				}
				next(m)
				_ = m.Rewind()
				_ = m.Ack(0)
				synctest.Wait()
				if len(done) > 0 {
					t.Fatalf("reading makes room: %v", <-done)
				}
				tc.free(m, cancel)
				synctest.Wait()
				if len(done) == 0 {
					m.Finish() // lets the writer go
					<-done
					t.Fatal("the writer still waits")
				}
				if err := <-done; !errors.Is(err, tc.want) {
					t.Errorf("Append: %v, want %v", err, tc.want)
				}
			})
		})
	}
}

// Room for a large record comes with several acknowledgements.
func TestMemoryRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := full(t)
		done := make(chan error, 1)
		go func() { done <- m.Append(context.Background(), make([]byte, 100)) }()
		for range 2 {
			synctest.Wait()
			if len(done) > 0 {
				t.Fatal("there is room too early")
			}
			next(m)
			_ = m.Ack(1)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A record larger than the spool passes through an empty one.
func TestMemoryLargeRecord(t *testing.T) {
	m := newMemory(1)
	if err := m.Append(context.Background(), make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if rec := next(m); len(rec) != 1000 {
		t.Errorf("%d bytes come out", len(rec))
	}
}

// The writer may use its buffer again, and after the end nothing is taken.
func TestMemoryFinish(t *testing.T) {
	m := newMemory(1000)
	buf := []byte("first")
	if err := m.Append(context.Background(), buf); err != nil {
		t.Fatal(err)
	}
	copy(buf, "xxxxx")
	<-m.More()
	m.Finish()
	m.Finish()
	<-m.More()
	if err := m.Append(context.Background(), buf); !errors.Is(err, errFinished) {
		t.Errorf("Append behind the end: %v", err)
	}
	for range 2 {
		if rec := string(next(m)); rec != "first" {
			t.Errorf("record is %q", rec)
		}
		if _, _, err := m.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("Next at the end: %v", err)
		}
		_ = m.Rewind()
	}
	if n := m.Waiting(); n != 1 {
		t.Errorf("%d records wait", n)
	}
}

func next(m *memory) []byte {
	rec, _, _ := m.Next()
	return rec
}

// The spool against a slice.
func TestMemoryModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 500
		m := newMemory(size)
		var model []string // not acknowledged
		read, used := 0, 0
		finished := false
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				rec := rapid.StringN(0, 30, 60).Draw(t, "record")
				ctx, cancel := context.WithCancel(context.Background())
				cancel() // it does not wait
				var want error
				switch {
				case finished:
					want = errFinished
				case used > 0 && used+len(rec)+overhead > size:
					want = context.Canceled
				default:
					model, used = append(model, rec), used+len(rec)+overhead
				}
				if err := m.Append(ctx, []byte(rec)); !errors.Is(err, want) {
					t.Fatalf("Append: %v, want %v", err, want)
				}
				if want == nil && len(m.More()) == 0 {
					t.Fatal("the reader is not told")
				}
			},
			"next": func(t *rapid.T) {
				rec, ok, err := m.Next()
				switch {
				case read < len(model):
					if !ok || err != nil || string(rec) != model[read] {
						t.Fatalf("Next = %q, %v, %v; want %q", rec, ok, err, model[read])
					}
					read++
				case finished != errors.Is(err, io.EOF) || ok:
					t.Fatalf("Next at the end = %q, %v, %v; finished is %v", rec, ok, err, finished)
				}
			},
			"ack": func(t *rapid.T) {
				n := rapid.IntRange(0, read).Draw(t, "n")
				for _, rec := range model[:n] {
					used -= len(rec) + overhead
				}
				model, read = model[n:], read-n
				if err := m.Ack(n); err != nil {
					t.Fatal(err)
				}
			},
			"rewind": func(t *rapid.T) {
				read = 0
				if err := m.Rewind(); err != nil {
					t.Fatal(err)
				}
			},
			"finish": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "chance") == 0 {
					finished = true
					m.Finish()
				}
			},
			"": func(t *rapid.T) {
				if diff := cmp.Diff([]int{len(model), used}, []int{m.Waiting(), m.bytes}); diff != "" {
					t.Fatalf("records and bytes (-want +got):\n%s", diff)
				}
			},
		})
	})
}
