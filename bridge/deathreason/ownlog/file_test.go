package ownlog

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// writer is a supervisord that logs into a file.
type logWriter struct {
	t    *testing.T
	path string
	f    *os.File
	n    int
}

func newLogWriter(t *testing.T) *logWriter {
	w := &logWriter{t: t, path: t.TempDir() + "/supervisord.log"}
	w.open()
	t.Cleanup(func() { w.f.Close() })
	return w
}

func (w *logWriter) open() {
	w.t.Helper()
	f, err := os.OpenFile(w.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		w.t.Fatal(err)
	}
	w.f = f
}

// write writes n numbered lines.
func (w *logWriter) write(n int) {
	w.t.Helper()
	for range n {
		w.n++
		fmt.Fprintf(w.f, "2026-11-21 19:00:31,833 INFO line %d\n", w.n)
	}
	// Files are compared by the time of their last change.
	at := time.Now().Add(time.Duration(w.n) * time.Second)
	if err := os.Chtimes(fmt.Sprintf("/proc/self/fd/%d", w.f.Fd()), at, at); err != nil {
		w.t.Fatal(err)
	}
}

func (w *logWriter) rename(from, to string) {
	w.t.Helper()
	if err := os.Rename(w.path+from, w.path+to); err != nil {
		w.t.Fatal(err)
	}
}

// reopen is what supervisord does on SIGUSR2, and when it rotates by itself.
func (w *logWriter) reopen() {
	w.f.Close()
	w.open()
}

// TestLogFile: whatever is done to the log, what is there is read once, in order, and
// what is not is a gap.
func TestLogFile(t *testing.T) {
	for _, test := range []struct {
		name string
		// steps are done after ten lines were read; ten more are written at the end.
		steps func(*logWriter, func())
		want  string // what is read after the first ten lines
		stale bool
	}{
		{name: "left alone", steps: func(*logWriter, func()) {}, want: "11-20"},
		{
			name:  "rotated",
			steps: func(w *logWriter, _ func()) { w.write(5); w.rename("", ".1"); w.reopen() },
			want:  "11-25",
		},
		{
			name: "rotated three times",
			steps: func(w *logWriter, _ func()) {
				for range 3 {
					w.write(5)
					for _, n := range []string{".2", ".1", ""} {
						if _, err := os.Stat(w.path + n); err == nil {
							w.rename(n, map[string]string{".2": ".3", ".1": ".2", "": ".1"}[n])
						}
					}
					w.reopen()
				}
			},
			want: "11-35",
		},
		{
			name: "rotated, and what was open removed",
			steps: func(w *logWriter, _ func()) {
				w.write(5)
				w.rename("", ".1")
				w.reopen()
				w.write(5)
				w.rename("", ".1")
				w.reopen()
			},
			want: "11-15 gap 16-30",
		},
		{
			name: "renamed, supervisord writes on",
			steps: func(w *logWriter, _ func()) {
				w.rename("", "-20261121")
				if err := os.WriteFile(w.path, nil, 0o644); err != nil {
					w.t.Fatal(err)
				}
			},
			want:  "11-20",
			stale: true,
		},
		{
			name: "renamed, and reopened later",
			steps: func(w *logWriter, read func()) {
				w.rename("", "-20261121")
				read()
				w.write(5)
				read()
				w.reopen()
			},
			want: "11-25",
		},
		{
			name:  "removed",
			steps: func(w *logWriter, _ func()) { _ = os.Remove(w.path) },
			want:  "11-20",
			stale: true,
		},
		{
			name: "copied and cut",
			steps: func(w *logWriter, _ func()) {
				if err := os.Truncate(w.path, 0); err != nil {
					w.t.Fatal(err)
				}
			},
			want: "gap 11-20",
		},
		{
			name: "cut, and as long as before",
			steps: func(w *logWriter, _ func()) {
				if err := os.Truncate(w.path, 0); err != nil {
					w.t.Fatal(err)
				}
				w.write(30)
			},
			want: "gap 11-50",
		},
		{
			name: "more than is read at a time",
			steps: func(w *logWriter, _ func()) {
				fmt.Fprint(w.f, strings.Repeat(strings.Repeat("x", 299)+"\n", 5000))
			},
			want: "11-20",
		},
		{
			name:  "a line that is longer than a chunk",
			steps: func(w *logWriter, _ func()) { fmt.Fprint(w.f, strings.Repeat("x", 3*fileChunk)+"\n") },
			want:  "11-20",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newLogWriter(t)
			w.write(10)
			f, err := OpenRegular(w.path)
			if err != nil {
				t.Fatal(err)
			}
			l := &File{Path: w.path, file: f, fd: -1}
			defer func() { l.Close() }()
			var got []string
			read := func() {
				t.Helper()
				done, err := l.Read(func(lines string, gap bool) {
					if gap {
						got = append(got, "gap")
					}
					for line := range strings.Lines(lines) {
						if _, n, ok := strings.Cut(line, " INFO line "); ok {
							got = append(got, strings.TrimSpace(n))
						}
					}
				})
				if !done || err != nil {
					t.Fatalf("%v, %v", done, err)
				}
			}
			read()
			if span(got) != "gap 1-10" {
				t.Fatal(got)
			}
			got = nil

			test.steps(w, read)
			read()
			w.write(10)
			read()
			if span(got) != test.want {
				t.Errorf("got %s, want %s", span(got), test.want)
			}
			if text, fix := l.Trouble(); (text != "") != test.stale || (fix != "") != test.stale {
				t.Errorf("trouble %q, %q", text, fix)
			}
			got = nil
			if read(); len(got) > 0 {
				t.Errorf("read again: %v", got)
			}
		})
	}
}

// span writes successive numbers as from-to.
func span(s []string) string {
	var out []string
	for i := 0; i < len(s); {
		j, n := i, 0
		_, err := fmt.Sscan(s[i], &n)
		for err == nil && j+1 < len(s) && s[j+1] == fmt.Sprint(n+j+1-i) {
			j++
		}
		if out = append(out, s[i]); j > i {
			out[len(out)-1] += "-" + s[j]
		}
		i = j + 1
	}
	return strings.Join(out, " ")
}

// The last line's time against the file's: zones are whole quarters of an hour.
func TestLogFileZone(t *testing.T) {
	changed := time.Date(2026, 11, 21, 19, 0, 31, 0, time.Local)
	for text, want := range map[string]time.Duration{
		"2026-11-21 19:00:31,833 INFO x\n":                                         0,
		"2026-11-21 12:00:00,000 INFO x\n2026-11-22 00:45:30,833 INFO x\nhalf a l": 5*time.Hour + 45*time.Minute,
		"2026-11-21 14:00:31,833 INFO x\nno time\n":                                -5 * time.Hour,
		"2020-11-21 14:00:31,833 INFO x\n":                                         0,
		"nothing\n":                                                                0,
		"":                                                                         0,
	} {
		path := t.TempDir() + "/log"
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, changed, changed); err != nil {
			t.Fatal(err)
		}
		f, err := OpenRegular(path)
		if err != nil {
			t.Fatal(err)
		}
		l := &File{Path: path, file: f, fd: -1}
		if got := l.Zone(); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
		l.Close()
	}
}
