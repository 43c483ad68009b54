// Go-sqlite counts crashes in an SQLite file, each exactly once: the sequence of an event is
// stored in the same transaction as its effect.
package main

import (
	"context"
	"database/sql"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	_ "modernc.org/sqlite"

	"supernats/consumer"
)

const tables = `CREATE TABLE IF NOT EXISTS done (seq INTEGER PRIMARY KEY, id TEXT);
	CREATE TABLE IF NOT EXISTS crashes (host TEXT, process TEXT, n INTEGER, PRIMARY KEY (host, process))`

// handle counts the crash that a message is about, unless the message was handled before.
func handle(ctx context.Context, db *sql.DB, m *consumer.Message) error {
	event, err := m.Event()
	if err != nil {
		return consumer.Park(err) // no further try would help
	}

	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.Exec("INSERT INTO done VALUES (?, ?) ON CONFLICT DO NOTHING", m.Seq, event.ID); err != nil {
		return err
	}
	const count = `INSERT INTO crashes SELECT ?, ?, 1 WHERE changes() = 1 AND ? ON CONFLICT DO UPDATE SET n = n + 1`
	if _, err := tx.Exec(count, event.Data.Host, event.Data.Process, event.Data.UnexpectedExit()); err != nil {
		return err
	}
	return tx.Commit()
}

func main() {
	url, file := os.Args[1], os.Args[2]
	const pragmas = "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_txlock=immediate"
	db := must(sql.Open("sqlite", "file:"+file+pragmas))
	must(db.Exec(tables))
	js := must(jetstream.New(must(nats.Connect(url, nats.MaxReconnects(-1)))))

	c := must(consumer.New(consumer.Config{
		JetStream: js,
		Durable:   "sqlite",
		Subjects:  consumer.Filter{Events: []string{"PROCESS_STATE_EXITED"}}.Subjects(),
		Handler: consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
			return handle(ctx, db, m)
		}),
		AckWait: 3 * time.Second,
	}))
	log.Fatal(c.Run(context.Background()))
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
