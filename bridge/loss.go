package bridge

import (
	"bytes"
	"context"
	"encoding/hex"
	"slices"
	"time"

	"supernats/bridge/eventlistener"
	"supernats/bridge/proctable"
	"supernats/bridge/record"
	"supernats/bridge/spool"
	"supernats/schema"
)

// Causes of a loss.
const (
	causeBuffer  = "supervisord-buffer"
	causeFull    = "spool-full"
	causeCorrupt = "spool-corrupt"

	causeNotListening = schema.LossNotListening
)

// lossEvery is how long losses gather before they are told: a buffer that overflows
// does so for many events. lossEveryFull is that while the spool is nearly full.
const (
	lossEvery     = time.Second
	lossEveryFull = time.Minute
)

// losses finds out what is lost and keeps it until it is told. Bridge.mu guards it.
type losses struct {
	boot string
	// fromStart says that a pool we have not seen before was served by nobody
	// else: what is missing at its beginning is lost.
	fromStart bool
	place     place
	first     place          // of the first event after those that we know nothing of
	open      []*schema.Loss // to be told
	gaps      []gap          // among it, of this boot
}

// place is how far the events of a pool are accounted for.
type place struct {
	known      bool
	pool       string
	poolSerial uint64
	// serial is the highest so far. It tells a pool that begins anew, with a
	// reload, from an event that comes again.
	serial uint64
}

// begin is the number of the pool's first event: the Go port counts from 1.
func (p place) begin() uint64 {
	if p.poolSerial == 1 && p.serial == 1 {
		return 1
	}
	return 0
}

// seen looks for a gap in the serial of our pool, which supervisord gives when an
// event enters the buffer: what is missing was thrown away. It reports whether the
// event is none that we have had.
//
// A pool that began anew and has by now lost more than the one before it ever had
// cannot be told from that one: then less is counted than was lost.
func (l *losses) seen(h *eventlistener.Header) bool {
	p, next := &l.place, l.place.poolSerial+1
	switch {
	case !p.known && !l.fromStart:
		next = h.PoolSerial // what was before us, we cannot know
	case !p.known, h.Pool != p.pool:
		next = 0
		if h.PoolSerial == 1 && h.Serial == 1 {
			next = 1 // the Go port counts from 1: no loss of each start
		}
	case h.PoolSerial <= p.poolSerial && h.Serial <= p.serial:
		// Offered again: after a death of ours, or after somebody else's FAIL
		// (process.py, handle_rejected).
		l.found(h.PoolSerial)
		return false
	case h.PoolSerial <= p.poolSerial:
		next = 0 // reloaded
	}
	unknown := !p.known && !l.fromStart
	*p = place{true, h.Pool, h.PoolSerial, max(p.serial, h.Serial)}
	if unknown {
		l.first = *p
	}
	if h.PoolSerial > next {
		l.missing(next, h.PoolSerial-1)
	}
	return true
}

// missing takes note that supervisord threw events away.
func (l *losses) missing(first, last uint64) {
	loss := l.of(causeBuffer, l.place.pool)
	loss.Count += last - first + 1
	span(loss, first, last)
	if len(l.gaps) < maxGaps {
		l.gaps = append(l.gaps, gap{first, last})
	}
}

// gap is a range of pool serials that are missing.
type gap struct{ first, last uint64 }

// maxGaps bounds how many are known one by one.
const maxGaps = 64

// found takes an event out of what is missing and not yet reported. An event that a
// listener died with, also one of another pool with our priority, is put at the head
// of the buffer (process.py, handle_rejected), before those that it came after.
func (l *losses) found(poolSerial uint64) {
	i := slices.IndexFunc(l.gaps, func(g gap) bool { return g.first <= poolSerial && poolSerial <= g.last })
	j := slices.IndexFunc(l.open, func(loss *schema.Loss) bool {
		return loss.Boot == l.boot && loss.Pool == l.place.pool && loss.Cause == causeBuffer
	})
	if i < 0 || j < 0 {
		return
	}

	g := l.gaps[i]
	l.gaps = slices.Delete(l.gaps, i, i+1)
	if g.first < poolSerial {
		l.gaps = append(l.gaps, gap{g.first, poolSerial - 1})
	}
	if poolSerial < g.last {
		l.gaps = append(l.gaps, gap{poolSerial + 1, g.last})
	}
	if l.open[j].Count--; l.open[j].Count == 0 {
		l.open = slices.Delete(l.open, j, j+1)
	}
}

// shed remembers an event that was let go for want of room.
func (l *losses) shed(h *eventlistener.Header) {
	loss := l.of(causeFull, h.Pool)
	loss.Count++
	span(loss, h.PoolSerial, h.PoolSerial)
	if loss.Events == nil {
		loss.Events = map[string]int{}
	}
	loss.Events[h.Event]++
}

// corrupt remembers records that the spool could not give back. 0 is an unknown
// number of them.
func (l *losses) corrupt(records uint64) {
	l.of(causeCorrupt, l.place.pool).Count += records
}

// of returns the loss of a cause that is open, which may be a new one.
func (l *losses) of(cause, pool string) *schema.Loss {
	for _, loss := range l.open {
		if loss.Boot == l.boot && loss.Pool == pool && loss.Cause == cause {
			return loss
		}
	}
	loss := &schema.Loss{Boot: l.boot, Pool: pool, Cause: cause}
	l.open = append(l.open, loss)
	return loss
}

func span(loss *schema.Loss, first, last uint64) {
	if loss.FirstPoolSerial == nil {
		loss.FirstPoolSerial = &first
	}
	loss.LastPoolSerial = &last
}

// beginning stands for the header of the last event when there was none and the
// pool's first one is expected.
const beginning = "beginning"

// history is what the last records in a spool tell of the run that appended them:
// how far its events are accounted for, and what it had not told yet. All records of
// a segment are of one run.
type history struct {
	number  uint64 // of the record before, 0: none
	damaged bool   // there are records that cannot be read
	boot    []byte
	header  []byte // of the last event that is accounted for
	losses  losses
	table   *proctable.Table // is given the events; may be nil
}

// record is given the records in their order.
func (y *history) record(number uint64, rec []byte) {
	v, ok := record.Parse(rec)
	if !ok {
		return
	}
	if !bytes.Equal(v.Boot, y.boot) {
		*y = history{boot: bytes.Clone(v.Boot), losses: losses{boot: hex.EncodeToString(v.Boot)}, table: y.table}
	}
	if y.number > 0 && number != y.number+1 {
		// What cannot be read is counted by the spool, so the events among it must not
		// be taken for a gap.
		y.losses.place, y.losses.fromStart, y.damaged = place{}, false, true
	}
	y.number = number
	line := v.Header
	if string(line) == beginning {
		y.losses.fromStart = true
	}
	// Records of our own repeat where we are: only an event that is offered again is found.
	stays := v.IsMessage() && bytes.Equal(line, y.header)
	if h, err := eventlistener.ParseHeader(line); err == nil && !stays {
		before := y.losses.place
		if y.losses.seen(&h) {
			y.header = append(y.header[:0], line...)
			if v.IsEvent() && y.table != nil {
				at, _ := record.Time(rec)
				payload, _ := record.CutFacts(&h, v.Body)
				y.table.Event(tableEvent(y.losses.boot, &h, payload, at))
			}
			if v.IsMessage() && before.known && before.pool == h.Pool {
				// A place without a record of its event: that was let go.
				y.losses.missing(h.PoolSerial, h.PoolSerial)
			}
		}
	}
	if v.IsMessage() {
		y.told(v)
	}
}

// told takes away what a record of losses has told. What was let go looks like
// events that supervisord threw away.
func (y *history) told(v record.View) {
	subject, json := v.Message()
	if !bytes.HasPrefix(subject, []byte(schema.BridgePrefix)) || !bytes.HasSuffix(subject, []byte("."+schema.BridgeLoss)) {
		return
	}
	ce, err := schema.Unmarshal[*schema.Loss](json)
	if err == nil && ce.Data.Cause == causeNotListening && y.table != nil {
		y.table.Forget()
		return
	}
	if err != nil || ce.Data.Cause == causeCorrupt || ce.Data.Boot != y.losses.boot || len(y.losses.open) == 0 {
		return
	}
	if open := y.losses.open[0]; open.Count > ce.Data.Count {
		open.Count -= ce.Data.Count
	} else {
		y.losses.open = nil
	}
	y.losses.gaps = nil
}

// end is given what else the spool knows of the run.
func (y *history) end(left spool.Left) {
	if left.Damaged {
		y.losses.place, y.losses.fromStart, y.damaged = place{}, false, true
	}
	if len(left.Place) > record.BootSize {
		y.stand(left.Place[:record.BootSize], left.Place[record.BootSize:])
	}
	if left.Memory > 0 {
		y.losses.of(causeFull, y.losses.place.pool).Count += left.Memory
	}
}

// stand makes the event of a header the last one that is accounted for.
func (y *history) stand(boot, header []byte) {
	h, err := eventlistener.ParseHeader(header)
	if err != nil || bytes.Equal(boot, y.boot) && bytes.Equal(header, y.header) {
		return
	}
	if p := y.losses.place; bytes.Equal(boot, y.boot) && p.known && p.pool == h.Pool && p.poolSerial >= h.PoolSerial {
		return // what was dropped after it is in the records
	}
	if !bytes.Equal(boot, y.boot) {
		open := y.losses.open
		y.boot = bytes.Clone(boot)
		y.losses = losses{boot: hex.EncodeToString(boot), open: open}
	}
	y.header = bytes.Clone(header)
	y.losses.place = place{true, h.Pool, h.PoolSerial, h.Serial}
}

// fromStart reports whether the pool of a boot is certain to have been ours from its
// start: then what is missing before the first event is lost. It is if an earlier run
// says so, or if we were started with supervisord and nothing of that boot is known.
func (y *history) fromStart(boot []byte, together bool) bool {
	if bytes.Equal(y.boot, boot) && (y.losses.fromStart || y.losses.place.known) {
		return y.losses.fromStart
	}
	return together && !y.damaged
}

// catchUp does what goOn does when a spool is opened late, or is another's.
func (b *Bridge) catchUp(y *history, own bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.losses.open = append(b.losses.open, y.losses.open...)
	boot := b.boot.load()
	l, p := &b.losses, y.losses.place
	switch {
	case !own:
	case !bytes.Equal(y.boot, boot[:]):
		// Nobody has listened to this life before, and we were there from its start.
		if l.first.known && l.first.poolSerial > l.first.begin() && b.cfg.StartedTogether && !y.damaged {
			l.missing(l.first.begin(), l.first.poolSerial-1)
			l.first = place{}
		}
	case !p.known:
	case !l.place.known:
		l.place, b.header = p, y.header
	case l.first.known && l.first.pool == p.pool && l.first.poolSerial > p.poolSerial+1:
		// Between that run and ours.
		l.missing(p.poolSerial+1, l.first.poolSerial-1)
		l.first = place{}
	}
	if len(l.open) > 0 {
		b.noteLoss()
	}
}

// goOn continues where the run before ended, and tells what it had not told.
func (b *Bridge) goOn(y *history) {
	b.mu.Lock()
	b.losses = b.lossesAfter(y, append(y.losses.open, b.losses.open...))
	b.mu.Unlock()
	if b.tellLosses() != nil {
		b.noteLoss()
	}
}

// tellings tells losses some time after they were noticed, until ctx ends.
func (b *Bridge) tellings(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.lossNoted:
		}
		wait := lossEvery
		if b.spool.Used() > shedAbove {
			wait = lossEveryFull
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if b.tellLosses() != nil { // supervisord is not answered either, which is said
			b.noteLoss()
		}
	}
}

// noteLoss says that there is something to tell.
func (b *Bridge) noteLoss() {
	select {
	case b.lossNoted <- struct{}{}:
	default:
	}
}

// tellLosses stores what was lost as records of our own.
func (b *Bridge) tellLosses() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.losses.open) > 0 {
		loss := b.losses.open[0]
		loss.Host = b.cfg.Host
		now := time.Now()
		ce := loss.Envelope(now)
		json, err := schema.Marshal(ce)
		if err != nil {
			return err
		}
		rec := record.AppendMessage(nil, now, b.boot.load(), b.header, schema.BridgeSubject(b.cfg.Host, schema.BridgeLoss), ce.ID, json)
		switch loss.Cause {
		case causeCorrupt:
			err = b.spool.AppendLoss(rec, false)
		case causeFull:
			err = b.spool.AppendLoss(rec, true)
		default:
			err = b.spool.Append(rec)
		}
		if err != nil {
			return err
		}
		b.losses.open = b.losses.open[1:]
		if loss.Cause == causeBuffer {
			b.losses.gaps = nil
			b.metrics.loss(causeBuffer, loss.Count)
			b.log.Error().Uint64("events", loss.Count).Uint64("poolserial", *loss.LastPoolSerial).Str("fix", "buffer_size=65536 in the section of supernats-bridge, and another section for the output of programs: supernats-bridge conf").
				Msg("supervisord dropped events: its buffer was full")
			b.wantSnapshot(snapshotLoss)
			b.lag.dropped.Add(loss.Count)
		}
		if loss.Cause == causeNotListening {
			b.metrics.loss(causeNotListening, loss.Count)
			b.log.Warn().Uint64("events", loss.Count).Int("processes", len(loss.Processes)).
				Msg("processes started or ended while supervisord had no section of supernats-bridge (supervisorctl update): these events were given to nobody")
		}
	}
	return nil
}
