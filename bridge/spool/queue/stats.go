package queue

import (
	"slices"

	"supernats/bridge/spool"
)

// Used returns the fraction of Options.Max, or of the memory's limit, that is in use: the
// larger one.
func (q *Queue) Used() float64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	used := q.mem.used()
	if q.disk != nil {
		used = max(used, q.disk.Used())
	}
	return used
}

// Stats are figures of a moment.
type Stats struct {
	spool.Stats
	// Memory is how many of Records are in memory, Disk why they are not on disk.
	Memory int
	Disk   error
}

// Stats returns how much waits. Err is why the last Append stored nothing.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()

	var st Stats
	if q.disk != nil {
		st.Stats = q.disk.Stats()
	}
	for _, s := range q.earlier {
		e := s.Stats()
		st.Records += e.Records
		st.Bytes += e.Bytes
		st.Segments += e.Segments
	}

	st.Memory = len(q.mem.recs)
	st.Disk = q.diskErr
	st.Records += uint64(st.Memory)
	st.Err = q.refused
	if q.finished {
		st.Err = spool.ErrFinished
	}
	return st
}

// Oldest returns the oldest record that is not done, nil if there is none.
func (q *Queue) Oldest() ([]byte, error) {
	q.mu.Lock()
	all := slices.Clone(q.earlier)
	if q.disk != nil {
		all = append(all, q.disk)
	}
	var mem []byte
	if len(q.mem.recs) > 0 {
		mem = q.mem.recs[0]
	}
	q.mu.Unlock()

	for _, s := range all {
		if rec, err := s.Oldest(); rec != nil || err != nil {
			return rec, err
		}
	}
	return mem, nil
}

// Dir returns the directory of the spool that is in use, "" while there is none.
func (q *Queue) Dir() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.disk == nil {
		return ""
	}
	return q.slot.dir
}

// Instance returns a short name of the owner. It stays the same over restarts, and is
// different for each supervisord.
func (q *Queue) Instance() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.disk == nil {
		return slotOwner{Owner: q.opt.Owner}.instance()
	}
	return q.slot.owner.instance()
}
