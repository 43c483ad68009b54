package journal

import (
	"fmt"
	"testing"
	"time"

	"supernats/bridge/record"
)

// An event that was shed and is followed by several records of ours stays counted.
func TestRecordsAfterAShedEvent(t *testing.T) {
	boot, past := [record.BootSize]byte{1}, newPast()
	header := func(serial, poolSerial int) []byte {
		return fmt.Appendf(nil, "ver:3.0 server:s serial:%d pool:supernats poolserial:%d eventname:TICK_5 len:0",
			serial, poolSerial)
	}
	readAt := time.Unix(1_700_000_000, 0)
	stored, shed := header(10, 0), header(11, 1)
	past.addRecord(1, record.AppendEvent(nil, readAt, boot, stored, nil))
	for number := range uint64(3) {
		past.addRecord(2+number, record.AppendMessage(nil, readAt, boot, shed, "supervisor.snapshot.web1", "id",
			[]byte("{}")))
	}
	if open := past.account.TakeOpen(); len(open) != 1 || open[0].Count != 1 {
		t.Errorf("losses are %+v, want one event", open)
	}
}
