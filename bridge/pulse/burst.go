package pulse

import (
	"sync/atomic"
	"time"
)

// Burst knows whether events come in a burst. supervisord works through a burst as
// fast as its listener answers; whoever publishes at the same time, and nats-server
// where it is on the same machine, takes the processor from the two of them. So the
// publisher gives way to a burst, for as long as publish.Config says.
//
// Events are counted in slots of slotLength. The goroutine that listens writes, others
// read: the number of the slot, the events in it and those in the slot before are one
// word.
type Burst struct {
	word atomic.Uint64 // number of the slot << 32, events in it << 16, events before
}

const (
	slotLength = 10 * time.Millisecond
	// burstEvents is how many events in a slot are a burst: 3,000 a second.
	burstEvents = 30
	// burstSlots is for how many slots after one that was a burst it is taken to continue:
	// on a busy machine supervisord does not get the processor all the time.
	burstSlots = 2
)

// EventRead counts an event that is read now.
func (b *Burst) EventRead(now time.Time) {
	const most = 1<<16 - 1
	word, slot := b.word.Load(), slotOf(now)

	switch last := word >> 32; {
	case last == slot && word>>16&most < most:
		word += 1 << 16
	case last == slot:
	case last+1 == slot:
		word = slot<<32 | 1<<16 | word>>16&most
	default:
		word = slot<<32 | 1<<16
	}

	b.word.Store(word)
}

// Running reports whether there is a burst.
func (b *Burst) Running(now time.Time) bool {
	word, slot := b.word.Load(), slotOf(now)
	count, before := word>>16&0xffff, word&0xffff

	switch ago := slot - word>>32; {
	case ago > burstSlots: // also if the clock was set back
		return false
	case ago == burstSlots:
		return count >= burstEvents
	}
	return count >= burstEvents || before >= burstEvents
}

// slotOf is the number of the slot of a time.
func slotOf(t time.Time) uint64 { return uint64(t.UnixNano()/int64(slotLength)) & (1<<32 - 1) }
