package record

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"supernats/bridge/publish"
	"supernats/schema"
)

// divide makes the parts of a process table that is too large for one message. A
// row that is too large by itself loses its texts, and is left out if its names are
// too large alone.
func (c *Encoder) divideTable(m *nats.Msg, limit int) ([]*nats.Msg, error) {
	ce, err := schema.Unmarshal[*schema.Snapshot](m.Data)
	if err != nil || ce.Data == nil {
		return nil, errors.Join(ErrMalformed, err)
	}
	table := *ce.Data
	part := func(rows []schema.SnapshotProcess, n, of int) (*nats.Msg, error) {
		s := table
		s.Processes, s.Part, s.Parts = rows, n, of
		part := s.Envelope(ce.Time.Time)
		json, err := schema.Marshal(part)
		if err != nil {
			return nil, err
		}
		return NewMessage(m.Subject, part.ID, json, c.TTL[ttlSnapshot]), nil
	}
	empty, err := part(nil, len(table.Processes), len(table.Processes)) // numbers of no more digits
	if err != nil {
		return nil, err
	}
	room := limit - messageSize(empty)

	var parts [][]schema.SnapshotProcess
	var rows []schema.SnapshotProcess
	used, skipped := 0, 0
	for _, row := range table.Processes {
		size, err := fitRow(&row, room)
		if err != nil {
			return nil, err
		}
		if size > room {
			skipped++
			continue
		}
		if used+size > room {
			parts = append(parts, rows)
			rows, used = nil, 0
		}
		rows = append(rows, row)
		used += size
	}
	if parts = append(parts, rows); len(rows) == 0 && skipped > 0 {
		return nil, errTooLarge("a process table", messageSize(empty)+minShare, limit)
	}

	msgs := make([]*nats.Msg, len(parts))
	for i, rows := range parts {
		n, of := i+1, len(parts)
		if of == 1 {
			n, of = 0, 0
		}
		if msgs[i], err = part(rows, n, of); err != nil {
			return nil, err
		}
	}
	if skipped > 0 {
		return msgs, fmt.Errorf("%w: %d processes are left out of a process table: their names are longer than the %d bytes that are allowed", publish.ErrPartly, skipped, limit)
	}
	return msgs, nil
}

// fitRow takes from a row of the process table what it can do without, until it has
// room, and returns its size with a comma.
func fitRow(row *schema.SnapshotProcess, room int) (int, error) {
	size := func() (int, error) {
		b, err := schema.Marshal(row)
		return len(b) + len(","), err
	}
	for _, text := range []*string{&row.Description, &row.SpawnErr, &row.StdoutLogfile, &row.StderrLogfile} {
		n, err := size()
		if err != nil || n <= room {
			return n, err
		}
		*text = firstBytes(*text, minText)
	}
	for _, text := range []*string{&row.StdoutLogfile, &row.StderrLogfile, &row.Description, &row.SpawnErr} {
		n, err := size()
		if err != nil || n <= room {
			return n, err
		}
		*text = ""
	}
	return size()
}
