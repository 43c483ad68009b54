package chaos

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// journal is what supervisord's log says, at loglevel=debug, of the conversation
// with the bridge. It is the truth that the stream is compared with.
type journal struct {
	// given are the serials that the bridge was sent, last the highest, accepted
	// those that it answered with OK (process.py _dispatchEvent, dispatchers.py
	// handle_result).
	given, accepted map[uint64]bool
	last            uint64
	// overflowed is how many events supervisord dropped.
	overflowed int
	// strange are lines that must not be there: a bridge that ended by itself or
	// broke the protocol.
	strange []string
}

var (
	lineGiven    = regexp.MustCompile(`^\S+ \S+ DEBG event (\d+) sent to listener supernats\n`)
	lineAccepted = regexp.MustCompile(`^\S+ \S+ DEBG supernats: event was processed\n`)
	lineOverflow = regexp.MustCompile(`^\S+ \S+ \S+ pool supernats event buffer overflowed`)
	lineStrange  = regexp.MustCompile(`^\S+ \S+ \S+ (exited: supernats \((?:[^t]|t[^e]|terminated by SIG[^K])|supernats: event was rejected|supernats: bad result|supernats: has entered the UNKNOWN)`)
)

func readJournal(r io.Reader) (journal, error) {
	j := journal{given: map[uint64]bool{}, accepted: map[uint64]bool{}}
	var busy uint64
	for lines := bufio.NewReader(r); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return j, nil // what follows the last line break is not whole
		}
		if err != nil {
			return j, err
		}
		if m := lineGiven.FindSubmatch(line); m != nil {
			if busy, err = strconv.ParseUint(string(m[1]), 10, 64); err != nil {
				return j, fmt.Errorf("%w: %s", err, line)
			}
			j.given[busy], j.last = true, max(j.last, busy)
		}
		switch {
		case lineAccepted.Match(line):
			j.accepted[busy] = true
		case lineOverflow.Match(line):
			j.overflowed++
		case lineStrange.Match(line):
			j.strange = append(j.strange, string(bytes.TrimSpace(line)))
		}
	}
}

func readJournalFile(name string) (journal, error) {
	f, err := os.Open(name)
	if err != nil {
		return journal{}, err
	}
	defer f.Close()
	return readJournal(f)
}

func TestJournal(t *testing.T) {
	const log = `2026-11-21 22:01:02,001 INFO spawned: 'supernats' with pid 7
2026-11-21 22:01:02,001 DEBG event 7 sent to listener supernats
2026-11-21 22:01:02,002 DEBG 'supernats' stdout output:
b'RESULT 2\nOK'
2026-11-21 22:01:02,003 DEBG supernats: event was processed
2026-11-21 22:01:02,004 DEBG supernats: BUSY -> ACKNOWLEDGED
2026-11-21 22:01:02,005 DEBG event 9 sent to listener supernats
2026-11-21 22:01:02,006 WARN exited: supernats (terminated by SIGKILL; not expected)
2026-11-21 22:01:02,007 WARN exited: supernats (terminated by SIGSEGV (core dumped); not expected)
2026-11-21 22:01:02,007 WARN exited: supernats (exit status 1; not expected)
2026-11-21 22:01:02,007 WARN exited: crasher (exit status 1; not expected)
2026-11-21 22:01:02,008 ERRO pool supernats event buffer overflowed, discarding event 8
2026-11-21 22:01:02,009 DEBG supernats: event was proc`
	got, err := readJournal(bytes.NewReader([]byte(log)))
	if err != nil {
		t.Fatal(err)
	}
	want := journal{
		given: map[uint64]bool{7: true, 9: true}, accepted: map[uint64]bool{7: true}, last: 9, overflowed: 1,
		strange: []string{
			"2026-11-21 22:01:02,007 WARN exited: supernats (terminated by SIGSEGV (core dumped); not expected)",
			"2026-11-21 22:01:02,007 WARN exited: supernats (exit status 1; not expected)",
		},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(journal{})); diff != "" {
		t.Error(diff)
	}
}
