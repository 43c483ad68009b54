package bridge

import (
	"context"
	"time"

	"supernats/bridge/ledger"
	"supernats/bridge/spool"
	"supernats/schema"
	"supernats/schema/repeat"
)

// lossEvery is how long losses gather before they are reported: a buffer that overflows
// does so for many events. lossEveryFull is that while the spool is nearly full.
const (
	lossEvery     = time.Second
	lossEveryFull = time.Minute
)

// reportNoted stores losses some time after they were noticed, until ctx ends.
func (j *journal) reportNoted(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.noted:
		}

		wait := lossEvery
		if j.spool.Load().Used() > shedAbove {
			wait = lossEveryFull
		}
		if !repeat.Sleep(ctx, wait) {
			return
		}
		if j.storeLosses() != nil { // supervisord is not answered either, which is reported
			j.noteLosses()
		}
	}
}

// noteLosses says that there are losses to report.
func (j *journal) noteLosses() {
	select {
	case j.noted <- struct{}{}:
	default:
	}
}

// openLosses returns how many losses are not reported yet.
func (j *journal) openLosses() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.account.Open()
}

// addLoss opens a loss that was found elsewhere.
func (j *journal) addLoss(loss *schema.Loss) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.account.Add(loss)
}

// storeLosses stores what was lost as records of our own.
func (j *journal) storeLosses() error {
	j.mu.Lock()
	defer j.mu.Unlock()

	for loss := j.account.Oldest(); loss != nil; loss = j.account.Oldest() {
		if err := j.storeLoss(loss); err != nil {
			return err
		}
		j.account.OldestReported()
		j.reportLoss(loss)
	}
	return nil
}

// storeLoss stores a loss. j.mu is held.
func (j *journal) storeLoss(loss *schema.Loss) error {
	loss.Host = j.host
	now := time.Now()
	envelope := loss.Envelope(now)
	json, err := schema.Marshal(envelope)
	if err != nil {
		return err
	}

	rec := j.encodeMessage(now, schema.BridgeSubject(j.host, schema.BridgeLoss), envelope.ID, json)
	switch loss.Cause {
	case ledger.CauseCorrupt:
		return j.spool.Load().AppendLoss(rec, false)
	case ledger.CauseFull:
		return j.spool.Load().AppendLoss(rec, true)
	}
	return j.spool.Load().Append(rec)
}

// reportLoss counts and logs a loss that is stored. What the spool lost was counted when
// that happened.
func (j *journal) reportLoss(loss *schema.Loss) {
	switch loss.Cause {
	case ledger.CauseBuffer:
		j.metrics.loss(ledger.CauseBuffer, loss.Count)
		j.log.Error().Uint64("events", loss.Count).Uint64("poolserial", *loss.LastPoolSerial).
			Str("fix", "buffer_size=65536 in the section of supernats-bridge, and another section for the output of programs: supernats-bridge conf").
			Msg("supervisord dropped events: its buffer was full")
		j.dropped(loss.Count)

	case ledger.CauseNotListening:
		j.metrics.loss(ledger.CauseNotListening, loss.Count)
		j.log.Warn().Uint64("events", loss.Count).Int("processes", len(loss.Processes)).
			Msg("processes started or ended while supervisord had no section of supernats-bridge (supervisorctl update): these events were given to nobody")
	}
}

// spoolLost is called for records that the spool cannot read.
func (j *journal) spoolLost(l spool.Loss) {
	lost := l.Events
	if !l.Later {
		lost += l.Records
	}
	j.log.Error().Uint64("records", l.Records).Uint64("events", lost).
		Int64("damaged_bytes", l.Bytes).Str("kept", l.File).Bool("counted_later", l.Later).
		Msg("spool is damaged: records are lost; the damaged file is kept")
	if l.Later {
		return
	}

	j.metrics.loss(ledger.CauseCorrupt, lost)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.account.Corrupt(lost)
	j.noteLosses()
}
