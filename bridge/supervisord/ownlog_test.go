package supervisord

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// fakeLog answers readLog as rpcinterface.py and options.py readFile do.
type fakeLog struct {
	text  string
	fault string
	calls int
}

var twoInts = regexp.MustCompile(`<int>(-?\d+)</int></value><value><int>(-?\d+)</int>`)

func (f *fakeLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.calls++
	body, _ := io.ReadAll(r.Body)
	var b strings.Builder
	for _, m := range twoInts.FindAllStringSubmatch(string(body), -1) {
		off, _ := strconv.Atoi(m[1])
		n, _ := strconv.Atoi(m[2])
		s := f.text[min(off, len(f.text)):]
		if n > 0 {
			s = s[:min(n, len(s))]
		}
		fault := f.fault
		if fault == "" && !utf8.ValidString(s) {
			fault = "FAILED: &lt;class 'AttributeError'&gt;:type object 'Faults' has no attribute 'utf-8'"
		}
		if fault != "" {
			fmt.Fprintf(&b, "<value><struct><member><name>faultCode</name><value><int>30</int></value></member><member><name>faultString</name><value><string>%s</string></value></member></struct></value>", fault)
			continue
		}
		fmt.Fprintf(&b, "<value><string>%s</string></value>",
			strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s))
	}
	fmt.Fprint(w, response("<array><data>"+b.String()+"</data></array>"))
}

const stamp = "2026-11-21 19:00:31,833 "

func anyLines(string) bool { return true }

func logLine(i int, text string) string { return fmt.Sprintf("%sINFO %d %s\n", stamp, i, text) }

func TestJournal(t *testing.T) {
	f := &fakeLog{}
	j := serve(t, Config{}, f.ServeHTTP).OwnLog()
	var got strings.Builder
	gaps := 0
	read := func() error {
		got.Reset()
		gaps = 0
		for {
			done, err := j.Read(t.Context(), anyLines, func(lines string, gap bool) {
				if got.WriteString(lines); gap {
					gaps++
				}
			})
			if done || err != nil {
				return err
			}
		}
	}
	expect := func(name, want string, wantGaps int) {
		t.Helper()
		if err := read(); err != nil || got.String() != want || gaps != wantGaps {
			t.Errorf("%s: %v, %d gaps, %d bytes, want %d gaps, %d bytes", name, err, gaps, got.Len(), wantGaps,
				len(want))
		}
	}
	expect("an empty log", "", 1)
	f.text = logLine(1, "one") + logLine(2, "进程退出")
	expect("two lines", f.text, 0)
	expect("nothing new", "", 0)
	same := logLine(3, "the same")
	f.text += same + same
	expect("two equal lines", same+same, 0)
	f.text += same
	expect("a third", same, 0)
	half := logLine(4, "half")
	f.text += half[:30]
	expect("half a line", "", 0)
	f.text += half[30:]
	expect("the other half", half, 0)
	before := len(f.text)
	f.text += logLine(5, "\x1b[31mred\x00\r")
	expect("control characters", logLine(5, "\uFFFD[31mred\uFFFD\r"), 0)
	f.text += logLine(6, "after")
	expect("a line after them", f.text[len(f.text)-len(logLine(6, "after")):], 0)
	if before == len(f.text) {
		t.Fatal()
	}

	// More than a chunk, cut inside characters wherever the chunk ends.
	for shift := range 3 {
		var b strings.Builder
		b.WriteString(logLine(7, strings.Repeat("x", shift)))
		for i := range 3 * chunk / 300 {
			b.WriteString(logLine(i, strings.Repeat("进", 90)))
		}
		f.text += b.String()
		expect("more than a chunk", b.String(), 0)
	}

	f.text = logLine(8, "rotated")
	expect("a rotated log", f.text, 1)
	f.text = ""
	expect("a cleared log", "", 1)
	f.text = logLine(9, "goes on")
	expect("a cleared log that goes on", f.text, 0)

	good := logLine(11, "good")
	f.text += logLine(10, "caf\xe4") + strings.Repeat(good, 100)
	if err := read(); !errors.Is(err, errUndecodable) {
		t.Errorf("bytes that are no UTF-8 at the end: %v", err)
	}
	f.text += strings.Repeat(good, 2*near/len(good))
	calls := f.calls
	if err := read(); err != nil || gaps != 1 || !strings.HasSuffix(got.String(), good) {
		t.Errorf("bytes that are no UTF-8 before the end: %v, %d gaps", err, gaps)
	}
	t.Logf("%d calls to get past bytes that are no UTF-8", f.calls-calls)
	f.text += good
	expect("what follows them", good, 0)

	f.fault = "FAILED"
	if err := read(); !errors.Is(err, errNoLog) {
		t.Errorf("no log: %v", err)
	}
}

// TestJournalTail: of a long log only the end is read, but as far back as is
// needed.
func TestJournalTail(t *testing.T) {
	var b strings.Builder
	at := time.Date(2026, 11, 21, 0, 0, 0, 0, time.Local)
	for i := range 100_000 {
		fmt.Fprintf(&b, "%s,000 INFO 进 %d\n", at.Add(time.Duration(i)*time.Second).Format("2006-01-02 15:04:05"), i)
	}
	f := &fakeLog{text: b.String()}
	for _, test := range []struct {
		back time.Duration
		want int
	}{{want: 256 << 10}, {back: 3 * time.Hour, want: 1 << 20}, {back: 24 * time.Hour, want: 1 << 20}} {
		f.calls = 0
		j := serve(t, Config{}, f.ServeHTTP).OwnLog()
		n := 0
		oldest := at.Add(100_000*time.Second - test.back - 10*time.Minute)
		farEnough := func(lines string) bool {
			first, err := time.ParseInLocation("2006-01-02 15:04:05", lines[:19], time.Local)
			return err == nil && !first.After(oldest)
		}
		if done, err := j.Read(t.Context(), farEnough, func(lines string, gap bool) { n += len(lines) }); !done ||
			err != nil {
			t.Fatal(err)
		}
		if want := min(test.want, len(f.text)); n > want+2*near || n < want-2*near {
			t.Errorf("%v back: read %d bytes, want about %d", test.back, n, want)
		}
		t.Logf("%v back: %d bytes in %d calls", test.back, n, f.calls)
	}
}
