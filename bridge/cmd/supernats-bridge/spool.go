package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"supernats/bridge"
	"supernats/bridge/record"
	"supernats/bridge/spool"
	"supernats/bridge/spool/queue"
	"supernats/schema"
)

type spoolCmd struct {
	Dump bool `env:"-" help:"Print the events that wait, a CloudEvent a line."`
}

// show prints what the spools of a host hold. Bridges may have them open.
func (c spoolCmd) show(w io.Writer, cfg bridge.Config) error {
	dirs, err := cfg.Spools()
	if err != nil {
		return err
	}

	for i, dir := range dirs {
		if c.Dump {
			err = dump(w, cfg, dir)
		} else {
			err = inspect(w, dir, i > 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dump prints the events in a spool.
func dump(w io.Writer, cfg bridge.Config, dir string) error {
	host := cmp.Or(queue.HostOf(dir), cfg.Host)
	return spool.Dump(dir, func(_ uint64, rec []byte) error {
		payloads, err := record.Payloads(host, rec)
		if err != nil {
			fmt.Fprintln(os.Stderr, "supernats-bridge:", err)
			return nil
		}
		_, err = w.Write(append(bytes.Join(payloads, []byte("\n")), '\n'))
		return err
	})
}

// inspect prints what a spool holds, after an empty line if it is apart.
func inspect(w io.Writer, dir string, apart bool) error {
	r, err := spool.Inspect(dir)
	if err != nil {
		return err
	}
	if apart {
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "spool      %s\n", dir)
	if owner := queue.OwnerOf(dir); owner != "" {
		fmt.Fprintf(w, "owner      %s\n", owner)
	}
	fmt.Fprintf(w, "segments   %d\n", r.Segments)
	fmt.Fprintf(w, "bytes      %d\n", r.Bytes)
	fmt.Fprintf(w, "records    %d waiting for JetStream\n", r.Records)

	for _, edge := range []struct {
		name   string
		number uint64
	}{{"oldest", r.Oldest}, {"newest", r.Newest}} {
		if edge.number == 0 {
			continue
		}
		at, err := recordTime(dir, edge.number)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%-10s %d  %s\n", edge.name, edge.number, at)
	}

	if r.Missing > 0 {
		fmt.Fprintf(w, "missing    %d records cannot be read\n", r.Missing)
	}
	for _, f := range r.Damaged {
		fmt.Fprintf(w, "damaged    %s\n", f)
	}
	return nil
}

var errFound = errors.New("found")

// recordTime returns when the record with a number was read from supervisord, a dash if it
// is gone by now.
func recordTime(dir string, number uint64) (text string, err error) {
	text = "-"
	err = spool.Dump(dir, func(n uint64, rec []byte) error {
		if n != number {
			return nil
		}
		at, err := record.Time(rec)
		if err != nil {
			return err
		}
		text = schema.Stamp(at)
		return errFound
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return text, err
}
