package backlog

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"supernats/schema"
)

func event(i, log int) schema.AlertEvent {
	ev := schema.AlertEvent{ID: fmt.Sprint(i)}
	if log > 0 {
		ev.Log = &schema.Log{Stderr: strings.Repeat("x", log)}
	}
	return ev
}

// logsOf is what the logs of a list take.
func logsOf(l *List) (n int) {
	for _, ev := range l.Events {
		if ev.Log != nil {
			n += sizeOfText(ev.Log.Stdout) + sizeOfText(ev.Log.Stderr)
		}
	}
	return n
}

// Of many logs the first and the last ones are kept.
func TestLogsOfAList(t *testing.T) {
	var b Backlog
	var l List
	for i := range 100 {
		b.Add(&l, event(i, maxLog))
	}
	if n := logsOf(&l); n > 2*halfLogs+maxLog || n < 2*halfLogs-maxLog {
		t.Errorf("%d bytes of logs", n)
	}
	if l.Events[0].Log == nil || l.Events[50].Log != nil || l.Events[99].Log == nil {
		t.Error("it is not the first and the last logs that are kept")
	}
}

func TestTakeDropFold(t *testing.T) {
	var b Backlog
	var l List
	for i := range 5 {
		b.Add(&l, event(i, 1))
	}
	b.Fold(&l)
	b.Drop(&l, 1)
	var ids []string
	for _, ev := range b.Take(&l, 2) {
		ids = append(ids, ev.ID)
	}
	if got := strings.Join(ids, " "); got != "1 3" || len(l.Events) != 1 || l.Events[0].ID != "4" {
		t.Errorf("took %s, left %v", got, l.Events)
	}
}

// Whatever happens to lists, the backlog knows what they take, and no list more than it may.
func TestCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b Backlog
		lists := make([]List, 3)
		for i := range rapid.IntRange(1, 80).Draw(t, "steps") {
			l := &lists[rapid.IntRange(0, len(lists)-1).Draw(t, "list")]
			switch n := len(l.Events); rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				b.Drop(l, rapid.IntRange(0, n).Draw(t, "drop"))
			case 1:
				b.Take(l, rapid.IntRange(0, n).Draw(t, "take"))
			case 2:
				if n > 2 {
					b.Fold(l)
				}
			default:
				b.Add(l, event(i, rapid.SampledFrom([]int{0, 100, 20_000, 300_000}).Draw(t, "log")))
			}

			events, logs := 0, 0
			for i := range lists {
				events += len(lists[i].Events)
				logs += logsOf(&lists[i])
				if n := logsOf(&lists[i]); n > 2*halfLogs+maxLog {
					t.Fatalf("%d bytes of logs in a list", n)
				}
			}
			if b.events != events || b.logs != logs {
				t.Fatalf("counted %d events and %d bytes, there are %d and %d", b.events, b.logs, events, logs)
			}
		}
	})
}

func TestFull(t *testing.T) {
	var b Backlog
	var l List
	for range maxEvents {
		b.Add(&l, schema.AlertEvent{})
	}
	if b.Full() {
		t.Error("full too early")
	}
	if b.Add(&l, schema.AlertEvent{}); !b.Full() {
		t.Error("not full")
	}
	if b.Drop(&l, 1); b.Full() {
		t.Error("full for ever")
	}
}

// A log is cut at its beginning, at a character, and counted as JSON writes it.
func TestFitLog(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{name: "letters", text: strings.Repeat("x", 3*maxLog) + "end"},
		{name: "control characters", text: strings.Repeat("\x01", 3*maxLog) + "end"},
		{name: "long characters", text: strings.Repeat("日", 3*maxLog) + "end"},
	} {
		log, size := fitLog(&schema.Log{Stdout: c.text, Stderr: "short"})
		if size > maxLog || log.Stderr != "short" || !strings.HasSuffix(log.Stdout, "end") {
			t.Errorf("%s: %d bytes, %q", c.name, size, log.Stdout[max(0, len(log.Stdout)-10):])
		}
		if !strings.HasSuffix(c.text, log.Stdout) || strings.ToValidUTF8(log.Stdout, "") != log.Stdout {
			t.Errorf("%s: it is not the end of the text", c.name)
		}
	}
	if log, size := fitLog(nil); log != nil || size != 0 {
		t.Errorf("%v, %d bytes of nothing", log, size)
	}
}
