package record

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"supernats/bridge/publish"
	"supernats/schema"
)

// tableParts makes messages of parts of a process table.
type tableParts struct {
	table   schema.Snapshot // its processes are those of the whole table
	at      time.Time
	subject string
	ttl     time.Duration
}

// encodePart makes the message of part n of a number of parts; 0 of 0 is the whole.
func (p *tableParts) encodePart(rows []schema.SnapshotProcess, n, of int) (*nats.Msg, error) {
	s := p.table
	s.Processes, s.Part, s.Parts = rows, n, of
	envelope := s.Envelope(p.at)
	json, err := schema.Marshal(envelope)
	if err != nil {
		return nil, err
	}
	return NewMessage(p.subject, envelope.ID, json, p.ttl), nil
}

// divideTable makes the parts of a process table that is too large for one message. A row
// that is too large by itself loses its texts, and is left out if its names are too large
// alone.
func (c *Encoder) divideTable(m *nats.Msg, limit int) ([]*nats.Msg, error) {
	envelope, err := schema.Unmarshal[*schema.Snapshot](m.Data)
	if err != nil || envelope.Data == nil {
		return nil, errors.Join(ErrMalformed, err)
	}
	parts := &tableParts{
		table: *envelope.Data, at: envelope.Time.Time, subject: m.Subject, ttl: c.TTL[ttlSnapshot],
	}

	// A part's own numbers have no more digits than that of all rows.
	most := len(parts.table.Processes)
	empty, err := parts.encodePart(nil, most, most)
	if err != nil {
		return nil, err
	}
	groups, skipped, err := groupRows(parts.table.Processes, limit-messageSize(empty))
	if err != nil {
		return nil, err
	}
	if len(groups[len(groups)-1]) == 0 && skipped > 0 {
		return nil, errTooLarge("a process table", messageSize(empty)+minShare, limit)
	}

	msgs := make([]*nats.Msg, len(groups))
	for i, rows := range groups {
		n, of := i+1, len(groups)
		if of == 1 {
			n, of = 0, 0
		}
		if msgs[i], err = parts.encodePart(rows, n, of); err != nil {
			return nil, err
		}
	}
	if skipped > 0 {
		return msgs, fmt.Errorf("%w: %d processes are left out of a process table: "+
			"their names are longer than the %d bytes that are allowed", publish.ErrPartly, skipped, limit)
	}
	return msgs, nil
}

// groupRows puts rows into groups that have room, and counts those that are left out. The
// last group is empty if no row is left for it.
func groupRows(table []schema.SnapshotProcess, room int) (groups [][]schema.SnapshotProcess, skipped int, err error) {
	var rows []schema.SnapshotProcess
	used := 0
	for _, row := range table {
		size, err := fitRow(&row, room)
		if err != nil {
			return nil, 0, err
		}
		if size > room {
			skipped++
			continue
		}

		if used+size > room {
			groups = append(groups, rows)
			rows, used = nil, 0
		}
		rows = append(rows, row)
		used += size
	}
	return append(groups, rows), skipped, nil
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
