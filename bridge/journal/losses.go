package journal

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

const fixDropped = "buffer_size=65536 in the section of supernats-bridge, " +
	"and another section for the output of programs: supernats-bridge conf"

// ReportLosses stores losses some time after they were noticed, until ctx ends.
func (j *Journal) ReportLosses(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.noted:
		}

		wait := lossEvery
		if j.Spool().Used() > shedAbove {
			wait = lossEveryFull
		}
		if !repeat.Sleep(ctx, wait) {
			return
		}
		if j.StoreLosses() != nil { // supervisord is not answered either, which is reported
			j.noteLosses()
		}
	}
}

// noteLosses says that there are losses to report.
func (j *Journal) noteLosses() {
	select {
	case j.noted <- struct{}{}:
	default:
	}
}

// openLosses returns how many losses are not reported yet.
func (j *Journal) openLosses() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.account.Open()
}

// ReportFound reports a loss that was found elsewhere. If it cannot be stored, that is
// tried again.
func (j *Journal) ReportFound(loss *schema.Loss) error {
	j.mu.Lock()
	j.account.Add(loss)
	j.mu.Unlock()

	err := j.StoreLosses()
	if err != nil {
		j.noteLosses()
	}
	return err
}

// StoreLosses stores what was lost as records of our own.
func (j *Journal) StoreLosses() error {
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
func (j *Journal) storeLoss(loss *schema.Loss) error {
	loss.Host = j.cfg.Host
	now := time.Now()
	envelope := loss.Envelope(now)
	json, err := schema.Marshal(envelope)
	if err != nil {
		return err
	}

	rec := j.encodeMessage(now, schema.BridgeSubject(j.cfg.Host, schema.BridgeLoss), envelope.ID, json)
	switch loss.Cause {
	case ledger.CauseCorrupt:
		return j.Spool().AppendLoss(rec, false)
	case ledger.CauseFull:
		return j.Spool().AppendLoss(rec, true)
	}
	return j.Spool().Append(rec)
}

// reportLoss counts and logs a loss that is stored. What the spool lost was counted when
// that happened.
func (j *Journal) reportLoss(loss *schema.Loss) {
	switch loss.Cause {
	case ledger.CauseBuffer:
		j.cfg.Metrics.Loss(ledger.CauseBuffer, loss.Count)
		j.cfg.Log.Error().Uint64("events", loss.Count).Uint64("poolserial", *loss.LastPoolSerial).
			Str("fix", fixDropped).
			Msg("supervisord dropped events: its buffer was full")
		j.cfg.Dropped(loss.Count)

	case ledger.CauseNotListening:
		j.cfg.Metrics.Loss(ledger.CauseNotListening, loss.Count)
		j.cfg.Log.Warn().Uint64("events", loss.Count).Int("processes", len(loss.Processes)).
			Msg("processes started or ended while supervisord had no section of supernats-bridge " +
				"(supervisorctl update): these events were given to nobody")
	}
}

// SpoolLost is called for records that the spool cannot read.
func (j *Journal) SpoolLost(l spool.Loss) {
	lost := l.Events
	if !l.Later {
		lost += l.Records
	}
	j.cfg.Log.Error().Uint64("records", l.Records).Uint64("events", lost).
		Int64("damaged_bytes", l.Bytes).Str("kept", l.File).Bool("counted_later", l.Later).
		Msg("spool is damaged: records are lost; the damaged file is kept")
	if l.Later {
		return
	}

	j.cfg.Metrics.Loss(ledger.CauseCorrupt, lost)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.account.Corrupt(lost)
	j.noteLosses()
}
