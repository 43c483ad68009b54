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

// item is a notification that was read. n is nil if it is done, or not for this receiver.
type item struct {
	raw jetstream.Msg
	n   notification
	seq uint64
}

// waits reports whether the item is still to be sent.
func (i *item) waits() bool { return i.n != nil }

// items are notifications in the order of the stream.
type items []*item

// waiting returns the items that are still to be sent.
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

// batch returns what to send next: everything up to the sequence resumes, which ended the
// batch that was interrupted by a restart, or up to most notifications if resumes is 0.
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

// notifications returns the notifications of items that all wait.
func (list items) notifications() []notification {
	all := make([]notification, len(list))
	for i, it := range list {
		all[i] = it.n
	}
	return all
}

// taken describes items that all wait, for the position of the receiver.
func (list items) taken() (all []inbox.Taken) {
	for _, it := range list {
		all = append(all, inbox.Taken{Seq: it.seq, Made: it.n.Time.Time})
	}
	return all
}

// firstOf returns the first waiting notification of an alert, which must exist.
func (list items) firstOf(incident string) *item {
	i := slices.IndexFunc(list, func(it *item) bool { return it.waits() && it.n.Data.Incident == incident })
	return list[i]
}

// tooSlowFor is how long a receiver that ran out of time gets only batches of a size that it
// can handle in time.
const tooSlowFor = 10 * time.Minute

// batchSize is how many notifications to send at once.
type batchSize struct {
	// biggest is the largest batch for this receiver. most is the current bound: it is lower
	// for a while after a batch ran out of time, at tooSlow.
	biggest, most int
	tooSlow       time.Time
	// now is the size of the next batch: most, or less while a batch is sent in parts.
	now int
}

// limit returns the largest size that is allowed now.
func (s *batchSize) limit() int {
	if time.Since(s.tooSlow) > tooSlowFor {
		s.most = s.biggest
	}
	return s.most
}

// reset allows the largest size again.
func (s *batchSize) reset() { s.now = s.limit() }

// double is called after a part of a divided batch was accepted.
func (s *batchSize) double() { s.now = min(2*s.now, s.limit()) }

// halve is called after a batch of count notifications failed.
func (s *batchSize) halve(count int, tooSlow bool) {
	s.now = count / 2
	if tooSlow {
		s.most, s.tooSlow = s.now, time.Now()
	}
}

// allowBiggest is called after a single notification ran out of time: the size was not to blame.
func (s *batchSize) allowBiggest() { s.most = s.biggest }
