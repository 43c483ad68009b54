package deliver

import (
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/deliver/inbox"
	"supernats/schema"
)

// notification is one as the stream of alerts holds it.
type notification = *schema.CloudEvent[*schema.Notification]

// item is a notification that was read; n is nil if it is not for this receiver, or done.
type item struct {
	raw jetstream.Msg
	n   notification
	seq uint64
}

// waits reports whether there is something to be sent.
func (i *item) waits() bool { return i.n != nil }

// items are notifications in the order of the stream.
type items []*item

// waiting are those that are to be sent.
func (list items) waiting() (left items) {
	for _, it := range list {
		if it.waits() {
			left = append(left, it)
		}
	}
	return left
}

func (list items) anyWaits() bool { return slices.ContainsFunc(list, (*item).waits) }

func (list items) bytes() (size int) {
	for _, it := range list {
		size += len(it.raw.Data())
	}
	return size
}

// isFull reports whether there is no room for more.
func (list items) isFull() bool { return len(list) >= maxBatch || list.bytes() >= maxBatchBytes }

// batch is what to send next: up to the sequence resumes, that of the batch that was being
// sent when the one before ended; if that is 0, up to most notifications.
func (list items) batch(resumes uint64, most int) items {
	count, size := 0, 0
	for i, it := range list {
		size += len(it.raw.Data())
		if i > 0 && (resumes > 0 && it.seq > resumes || size > maxBatchBytes || it.n != nil && count == most) {
			return list[:i]
		}
		if it.waits() {
			count++
		}
	}
	return list
}

// notifications are those of items that all wait.
func (list items) notifications() []notification {
	all := make([]notification, len(list))
	for i, it := range list {
		all[i] = it.n
	}
	return all
}

// taken says of items that all wait that the receiver took them.
func (list items) taken() (all []inbox.Taken) {
	for _, it := range list {
		all = append(all, inbox.Taken{Seq: it.seq, Made: it.n.Time.Time})
	}
	return all
}

// firstOf is the first notification of an alert that is waiting.
func (list items) firstOf(incident string) *item {
	i := slices.IndexFunc(list, func(it *item) bool { return it.waits() && it.n.Data.Incident == incident })
	return list[i]
}

// tooSlowFor is how long a receiver gets no bigger batches than those that it could
// handle in time.
const tooSlowFor = 10 * time.Minute

// batchSize is how many notifications to send at once.
type batchSize struct {
	// biggest is how many a batch may have at this receiver; most bounds that since a
	// bigger batch ran out of time at tooSlow.
	biggest, most int
	tooSlow       time.Time
	// now is the size of the next batch: most, and less while one is sent in parts.
	now int
}

// limit is how big a batch may be.
func (s *batchSize) limit() int {
	if time.Since(s.tooSlow) > tooSlowFor {
		s.most = s.biggest
	}
	return s.most
}

// reset begins with the biggest size.
func (s *batchSize) reset() { s.now = s.limit() }

// double follows a part of a batch that was taken.
func (s *batchSize) double() { s.now = min(2*s.now, s.limit()) }

// halve follows a batch of so many that was not taken, or not in time.
func (s *batchSize) halve(count int, tooSlow bool) {
	s.now = count / 2
	if tooSlow {
		s.most, s.tooSlow = s.now, time.Now()
	}
}

// absolve follows one that runs out of time alone: it was not how many there were.
func (s *batchSize) absolve() { s.most = s.biggest }
