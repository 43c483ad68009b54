package live

import (
	"bytes"
	"math"
	"time"

	"supernats/consumer/fleet"
)

// room is what Run works on.
type room struct {
	hub *Hub
	// now is the snapshot that all viewers have.
	now     *fleet.Snapshot
	views   map[string]*view // by key
	streams map[*stream]bool

	// updated is when the last update was, due fires when the next one has to be, at dueAt;
	// nil: nothing has changed.
	updated, dueAt time.Time
	due            <-chan time.Time
}

// view is what at least one stream shows.
type view struct {
	*View
	address string
	// frame is what its viewers have, as of the snapshot of the room.
	frame *Frame
	// place is up to where they have the news; stop ends the following of them.
	place uint64
	stop  func()
	used  int
	// owesReset says that they have to get the page again. Until rests, they get neither news
	// nor that.
	owesReset bool
	rests     time.Time
}

// updateSoon updates now, or as soon as the last update is long enough ago.
func (r *room) updateSoon() {
	next := r.updated.Add(r.hub.every)
	if time.Now().Before(next) {
		r.updateAt(next)
	} else {
		r.update()
	}
}

// updateAt makes the next update happen at a time, or before.
func (r *room) updateAt(t time.Time) {
	if r.due == nil || t.Before(r.dueAt) {
		r.due, r.dueAt = time.After(time.Until(t)), t
	}
}

// join adds a stream, which gets what has changed since its viewers got their pages. One that
// does not say since when has no page: it begins with the counts, and gets what comes.
func (r *room) join(s *stream) {
	var first bytes.Buffer
	for i, open := range s.views {
		known, place := r.hub.find(s.after[i])
		v := r.views[open.Key]
		if v == nil {
			v = r.open(open, s.addresses[i], place)
		}
		v.used++

		if s.after[i] == "" {
			writeCounts(&first, v.address, v.frame)
		} else {
			r.resume(&first, v, known, place)
		}
	}
	r.streams[s] = true
	s.send(batch{id: r.idFor(s), text: first.Bytes()})
}

// open begins to show a view, to viewers who have its news up to a place.
func (r *room) open(opened *View, address string, place uint64) *view {
	v := &view{View: opened, address: address, frame: opened.frameAt(r.now)}
	if v.News != nil {
		v.stop = v.News.Follow(place)
		v.place = v.News.Last()
	}
	r.views[v.Key] = v
	return v
}

func (v *View) frameAt(s *fleet.Snapshot) *Frame {
	frame, err := v.Render(s)
	if err != nil {
		return &Frame{Mark: err.Error()}
	}
	return frame
}

// resume writes what has changed in a view since a snapshot, and a place of its news.
func (r *room) resume(b *bytes.Buffer, v *view, known *fleet.Snapshot, place uint64) {
	if known == nil {
		writeEvent(b, eventReset, message{View: v.address})
		return
	}

	frame := v.frame
	if known != r.now {
		frame = v.frameAt(known)
	}
	text, needsReset := difference(v.address, frame, v.frame)
	b.Write(text)
	if v.News != nil && !v.writeNews(b, place, v.place) || needsReset {
		writeEvent(b, eventReset, message{View: v.address})
	}
}

// writeNews writes the news between two places, and reports whether they are all known.
func (v *view) writeNews(b *bytes.Buffer, after, through uint64) (whole bool) {
	rows, whole := v.News.Rows(after, through)
	for _, row := range rows {
		writeEvent(b, eventNew, message{View: v.address, List: row.List, ID: row.ID, HTML: row.HTML})
	}
	if len(rows) > crowd {
		v.rests = time.Now().Add(crowdEvery)
	}
	return whole
}

// update sends what is different now.
func (r *room) update() {
	r.forgetEnded()
	r.due, r.updated = nil, time.Now()
	s := r.hub.Snapshot()
	isNewer := s != r.now
	r.now = s

	texts := make(map[string][]byte, len(r.views))
	for key, v := range r.views {
		var b bytes.Buffer
		if isNewer {
			v.show(&b, s)
		}
		if r.updated.Before(v.rests) {
			r.updateAt(v.rests)
		} else {
			v.catchUp(&b, r.updated)
		}
		texts[key] = b.Bytes()
	}

	for st := range r.streams {
		b := batch{id: r.idFor(st)}
		for _, open := range st.views {
			b.text = append(b.text, texts[open.Key]...)
		}
		if len(b.text) > 0 {
			st.send(b)
		}
	}
}

// show writes what is different in another snapshot.
func (v *view) show(b *bytes.Buffer, s *fleet.Snapshot) {
	frame := v.frameAt(s)
	text, needsReset := difference(v.address, v.frame, frame)
	b.Write(text)
	v.frame, v.owesReset = frame, v.owesReset || needsReset
}

// catchUp writes the news, and asks the viewers for the page again if that has to be.
func (v *view) catchUp(b *bytes.Buffer, now time.Time) {
	if v.News != nil {
		last := v.News.Last()
		isWhole := last >= v.place && v.writeNews(b, v.place, last)
		v.place, v.owesReset = last, v.owesReset || !isWhole
	}
	if v.owesReset {
		within := time.Duration(v.used) * resetSpread
		writeEvent(b, eventReset, message{View: v.address, Within: within.Milliseconds()})
		v.owesReset, v.rests = false, now.Add(within)
	}
}

// idFor is the id of what a stream has. The news of its views may be at several places: who
// resumes gets some of them twice rather than never.
func (r *room) idFor(s *stream) string {
	place := uint64(math.MaxUint64)
	for _, open := range s.views {
		if v := r.views[open.Key]; v.News != nil {
			place = min(place, v.place)
		}
	}
	if place == math.MaxUint64 {
		place = 0
	}
	return r.hub.eventID(r.now, place)
}

// forgetEnded drops the streams that have ended, and the views that nobody looks at.
func (r *room) forgetEnded() {
	r.hub.mu.Lock()
	ended := r.hub.ended
	r.hub.ended = nil
	r.hub.mu.Unlock()

	for _, s := range ended {
		if !r.streams[s] {
			continue
		}
		delete(r.streams, s)
		for _, open := range s.views {
			v := r.views[open.Key]
			if v.used--; v.used > 0 {
				continue
			}
			v.close()
			delete(r.views, v.Key)
		}
	}
}

func (v *view) close() {
	if v.stop != nil {
		v.stop()
	}
}

// close ends the following of news.
func (r *room) close() {
	for _, v := range r.views {
		v.close()
	}
}
