// Go-sqlite counts crashes in an SQLite file, each exactly once: the sequence of an
// event is stored in the transaction of its effect.
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

// handle does what is to be done of a message, and of one that comes again nothing.
func handle(ctx context.Context, db *sql.DB, m *consumer.Message) error {
	event, err := m.Event()
	if err != nil {
		return consumer.Park(err) // no further try would mend it
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
	db := must(sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_txlock=immediate"))
	must(db.Exec(tables))
	js := must(jetstream.New(must(nats.Connect(url, nats.MaxReconnects(-1)))))
	h := consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error { return handle(ctx, db, m) })
	exits := consumer.Filter{Events: []string{"PROCESS_STATE_EXITED"}}.Subjects()
	log.Fatal(must(consumer.New(consumer.Config{JetStream: js, Durable: "sqlite", Subjects: exits, Handler: h, AckWait: 3 * time.Second})).Run(context.Background()))
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
