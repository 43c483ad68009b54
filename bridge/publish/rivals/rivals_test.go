package rivals

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// held is the last message on each subject of a stream.
type held map[string]struct {
	id  string
	seq uint64
}

// put stores a message.
func (h held) put(subject, id string, seq uint64) {
	h[subject] = struct {
		id  string
		seq uint64
	}{id, seq}
}

func (h held) read(_ context.Context, each func(subject, id string, seq uint64)) error {
	for subject, m := range h {
		each(subject, m.id, m.seq)
	}
	return nil
}

// watched is a watch of boot aaaa, and what it reported.
func watched() (*Watch, *[]string) {
	reports := new([]string)
	return New(Config{
		Self: Self{
			Boot:   "aaaa",
			BootOf: func(id string) string { boot, _, _ := strings.Cut(id, "/"); return boot },
		},
		Log:   zerolog.Nop(),
		Raise: func(text, _ string) { *reports = append(*reports, text) },
		Clear: func() { *reports = append(*reports, "clear") },
	}), reports
}

const web = "supervisor.event.web1.web.web.process_state.running"

// Another boot is a rival once it has published in two looks in a row, and until it is
// silent for three minutes.
func TestLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, reports := watched()
		h := held{}
		h.put(web, "aaaa/1", 1)
		w.Begin()
		look := func() { <-w.Due(); w.Look(t.Context(), h.read) }
		look()

		for seq := uint64(2); seq < 4; seq++ {
			h.put(web, "bbbb/1", seq)
			look()
			if len(*reports) > 0 {
				t.Fatalf("after %d looks with a message of another boot: %q", seq-1, *reports)
			}
		}
		h.put(web, "bbbb/1", 4)
		look()
		if got := *reports; len(got) != 1 || !strings.Contains(got[0], "same names: web:web") {
			t.Fatalf("reports: %q", got)
		}

		begun := time.Now()
		for (*reports)[len(*reports)-1] != "clear" {
			look()
		}
		if took := time.Since(begun); took < silenceLimit || took > silenceLimit+2*time.Minute {
			t.Errorf("the rival counts as gone after %v", took)
		}
	})
}

// After a look that failed the next one is due later.
func TestLookFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, reports := watched()
		w.Begin()
		var waited []time.Duration
		for range 7 {
			begun := time.Now()
			<-w.Due()
			waited = append(waited, time.Since(begun))
			w.Look(t.Context(), func(context.Context, func(string, string, uint64)) error { return errors.New("no right") })
		}
		want := []time.Duration{
			6 * time.Second, 12 * time.Second, 24 * time.Second, 48 * time.Second, 96 * time.Second,
			192 * time.Second, 5 * time.Minute,
		}
		if diff := cmp.Diff(want, waited); diff != "" {
			t.Errorf("waits (-want +got):\n%s", diff)
		}
		if len(*reports) > 0 {
			t.Errorf("reports: %q", *reports)
		}
	})
}

// The text names ten processes at most.
func TestTextOf(t *testing.T) {
	w, _ := watched()
	var shared []string
	for _, name := range strings.Split("abcdefghijkl", "") {
		shared = append(shared, name+"."+name, name+"."+name)
	}
	if got := w.textOf(shared, "bbbb"); !strings.HasSuffix(got, "i:i, j:j and 2 more") {
		t.Errorf("text: %s", got)
	}
}
