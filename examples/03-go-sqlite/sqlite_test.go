package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"supernats/consumer"
	"supernats/consumer/consumertest"
	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// database opens a file as main does.
func database(file string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_txlock=immediate")
	if err == nil {
		_, err = db.Exec(tables)
	}
	return db, err
}

func TestConformance(t *testing.T) {
	consumertest.Run(t, func(t *testing.T) consumertest.Target {
		file := filepath.Join(t.TempDir(), "crashes.db")
		return consumertest.Target{
			Open: func(context.Context) (consumer.Handler, func() error, error) {
				db, err := database(file)
				h := consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
					return handle(ctx, db, m)
				})
				return h, db.Close, err
			},
			Effects: func(ctx context.Context) (ids []string, err error) {
				db, err := database(file)
				if err != nil {
					return nil, err
				}
				defer db.Close()
				var counted int
				if err := db.QueryRow("SELECT coalesce(sum(n), 0) FROM crashes").Scan(&counted); err != nil {
					return nil, err
				}
				// A table is a set: of its order only that of the key is known.
				rows, err := db.Query("SELECT id FROM done ORDER BY seq")
				if err != nil {
					return nil, err
				}
				defer rows.Close()
				for rows.Next() {
					var id string
					if err := rows.Scan(&id); err != nil {
						return nil, err
					}
					ids = append(ids, id)
				}
				if counted != len(ids) {
					return nil, fmt.Errorf("%d events are done, %d are counted", len(ids), counted)
				}
				return ids, rows.Err()
			},
		}
	})
}

// The program is killed repeatedly, in the middle of what it does.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	bin, file := filepath.Join(dir, "go-sqlite"), filepath.Join(dir, "crashes.db")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s := streamtest.Start(t)
	js := s.JetStream()
	if err := stream.EnsureAll(t.Context(), js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	const n, kills = 600, 5
	crashes := 0
	for i := range n {
		expected := i%3 == 0
		if !expected {
			crashes++
		}
		e := &schema.Event{
			Event: schema.ProcessStateExited, Host: "web1", Server: "supervisor", Boot: "4f0c6d1e2a90b7c3", Serial: uint64(i), Pool: "supernats",
			Group: "api", Process: fmt.Sprintf("api_%02d", i%5), FromState: "RUNNING", Expected: &expected, PID: 42,
		}
		payload, err := schema.Marshal(e.Envelope(time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.Publish(t.Context(), e.Subject(), payload); err != nil {
			t.Fatal(err)
		}
	}
	db, err := database(file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	number := func(query string) (v int) {
		t.Helper()
		if err := db.QueryRow(query).Scan(&v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	const done = "SELECT count(*) FROM done"
	for life := range kills + 1 {
		c := exec.Command(bin, s.URL, file)
		c.Stderr = os.Stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		goal := n
		if life < kills {
			goal = number(done) + n/(kills+2)
		}
		for end := time.Now().Add(60 * time.Second); number(done) < goal; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("after start %d only %d of %d are done", life+1, number(done), goal)
				break
			}
		}
		if life < kills && number(done) >= n {
			t.Fatal("it is done before it was killed")
		}
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	if got := number("SELECT sum(n) FROM crashes"); got != crashes || number(done) != n {
		t.Errorf("%d crashes are counted, not %d, of %d events", got, crashes, number(done))
	}
}
