package supervisord

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"supernats/schema"
)

const (
	// maxAsked is of how many processes one batch asks: with 4 KiB of stdout and
	// of stderr each that is 1 MiB to be encoded by supervisord.
	maxAsked = 128
	// maxAskedSingly is the same where each question is a call of its own.
	maxAskedSingly = 4
	// prompt is how long after a death its event is taken to be about the state
	// that supervisord tells of now.
	prompt = 5 * time.Second
)

// wish is what supervisord is asked about one process.
type wish struct {
	*Received
	info           map[string]any
	stdout, stderr *tail
}

// tail is the end of one log.
type tail struct {
	method string
	text   string
	ok     bool
	// bad means that the log, or its part from there, is no UTF-8.
	bad bool
}

// complete adds what the log did not tell, and the tails.
func (r *Reasons) complete(ctx context.Context, deaths []Received) {
	if !r.calls.ready(time.Now()) {
		return
	}
	wishes := r.wishes(deaths)
	var questions []question
	var take []func(answer)
	want := func(q question, f func(answer)) {
		questions, take = append(questions, q), append(take, f)
	}
	for _, w := range wishes {
		name := namespec(w.Event)
		if w.Event.Exit == nil {
			want(question{"supervisor.getProcessInfo", []any{name}}, func(a answer) { w.info, _ = a.value.(map[string]any) })
		}
		for _, t := range w.tails() {
			want(question{t.method, []any{name, -int64(r.cfg.Tail), int64(0)}}, func(a answer) { t.take(a, r.cfg.Tail, r.cfg.Tail) })
		}
	}
	if !r.put(ctx, questions, take) {
		return
	}
	r.completeBad(ctx, wishes)
	for _, w := range wishes {
		if w.Event.Exit == nil && w.info != nil {
			if exit := infoExit(w.Event, process(w.info), r.made[w.Event.Serial], w.At); exit != nil {
				r.explain(w.Event, exit)
				if p := r.replay.procs[procID{w.Event.Group, w.Event.Process}]; p != nil && w.Event.Event == schema.ProcessStateBackoff {
					p.backoff = exit
				}
			}
		}
		if log := w.log(); log != nil && w.Event.Log == nil {
			w.Event.Log = log
		}
	}
}

// wishes are the last deaths of each process: what supervisord tells now has
// nothing to do with those before.
func (r *Reasons) wishes(deaths []Received) []*wish {
	limit := maxAsked
	if r.cfg.Client.noMulticall.Load() {
		limit = maxAskedSingly
	}
	asked := map[procID]bool{}
	var wishes []*wish
	for i := len(deaths) - 1; i >= 0 && len(wishes) < limit; i-- {
		e := deaths[i].Event
		id := procID{e.Group, e.Process}
		if asked[id] {
			continue
		}
		asked[id] = true
		w := &wish{Received: &deaths[i]}
		if r.cfg.Tail > 0 && e.Event != schema.ProcessStateBackoff {
			w.stdout = &tail{method: "supervisor.readProcessStdoutLog"}
			w.stderr = &tail{method: "supervisor.readProcessStderrLog"}
		}
		if w.stdout != nil || e.Exit == nil {
			wishes = append(wishes, w)
		}
	}
	slices.Reverse(wishes)
	return wishes
}

func namespec(e *schema.Event) string { return e.Group + ":" + e.Process }

func (w *wish) tails() []*tail {
	if w.stdout == nil {
		return nil
	}
	return []*tail{w.stdout, w.stderr}
}

func (w *wish) log() *schema.Log {
	if w.stdout == nil || w.stdout.text == "" && w.stderr.text == "" {
		return nil
	}
	return &schema.Log{Stdout: w.stdout.text, Stderr: w.stderr.text}
}

// put asks in one request; it reports whether there was an answer.
func (r *Reasons) put(ctx context.Context, questions []question, take []func(answer)) bool {
	if len(questions) == 0 {
		return true
	}
	answers, err := r.cfg.Client.ask(ctx, questions...)
	if err != nil {
		r.warn(&r.calls, err)
		return false
	}
	r.calls.clear()
	for i, a := range answers {
		take[i](a)
	}
	return true
}

// completeBad asks again for the tails that began inside a character: one to
// three bytes more. If that does not help either there are other bytes in the
// log that are no UTF-8, and supervisord cannot read it to us; but it is a file
// of this machine.
func (r *Reasons) completeBad(ctx context.Context, wishes []*wish) {
	var questions []question
	var take []func(answer)
	want := func(q question, f func(answer)) {
		questions, take = append(questions, q), append(take, f)
	}
	for _, w := range wishes {
		bad := false
		for _, t := range w.tails() {
			if !t.bad {
				continue
			}
			bad = true
			for extra := 1; extra < utf8.UTFMax; extra++ {
				n := r.cfg.Tail + extra
				want(question{t.method, []any{namespec(w.Event), -int64(n), int64(0)}}, func(a answer) {
					if !t.ok {
						t.take(a, n, r.cfg.Tail)
					}
				})
			}
		}
		if bad && w.info == nil {
			want(question{"supervisor.getProcessInfo", []any{namespec(w.Event)}}, func(a answer) { w.info, _ = a.value.(map[string]any) })
		}
	}
	if !r.put(ctx, questions, take) {
		return
	}
	for _, w := range wishes {
		for _, t := range w.tails() {
			if t.ok || !t.bad {
				continue
			}
			path := text(w.info["stdout_logfile"])
			if t == w.stderr {
				path = text(w.info["stderr_logfile"])
			}
			t.text = readTail(path, r.cfg.Tail)
		}
	}
}

// take takes the answer to a question for the last n bytes, and keeps at most
// limit. A log that is off, or in syslog, is a fault.
func (t *tail) take(a answer, n, limit int) {
	var fault *Fault
	if errors.As(a.err, &fault) {
		t.bad = undecodable(fault)
		return
	}
	if a.err != nil {
		return
	}
	s := text(a.value)
	// What came instead of one byte counts as one.
	whole := len(s)-strings.Count(s, replacement)*(len(replacement)-1) < n
	t.text, t.ok = lastLines(s, limit, whole), true
}

// lastLines cuts s to its last n bytes, from the beginning of a line if there is
// one. whole means that s begins with one.
func lastLines(s string, n int, whole bool) string {
	if len(s) > n {
		s, whole = s[len(s)-n:], false
	}
	if whole {
		return s
	}
	if i := strings.IndexByte(s, '\n'); i >= 0 && i+1 < len(s) {
		return s[i+1:]
	}
	for len(s) > 0 && !utf8.RuneStart(s[0]) {
		s = s[1:]
	}
	return s
}

// readTail reads the last n bytes of a log, and makes them what an answer would
// hold; nothing if it may not be read.
func readTail(path string, n int) string {
	// It may be a pipe or a terminal: nothing to wait for.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return ""
	}
	off := max(st.Size()-int64(n), 0)
	b := make([]byte, st.Size()-off)
	m, err := f.ReadAt(b, off)
	if err != nil && err != io.EOF {
		return ""
	}
	var s strings.Builder
	for _, c := range string(b[:m]) { // bad bytes become U+FFFD
		if !legal(c) {
			c = utf8.RuneError
		}
		s.WriteRune(c)
	}
	return lastLines(lastLines(s.String(), s.Len(), off == 0), n, true)
}

// infoExit returns the reason of the last death of a process as its present
// state tells it, nil if that may be of another one: each start clears it
// (process.py spawn), which comes milliseconds after most deaths, and then it
// may have died again. The event was made after made and read at a time.
func infoExit(e *schema.Event, p schema.SnapshotProcess, made, at time.Time) *schema.Exit {
	// By supervisord's clock in whole seconds.
	soon := func(unix int64) bool {
		d := at.Sub(time.Unix(unix, 0))
		return d > -clockSlack && d < prompt
	}
	const tooQuickly = "Exited too quickly"
	switch {
	case p.PID != 0:
		return nil
	case e.Event == schema.ProcessStateExited:
		// -1 is any signal. spawnerr is set for an unexpected exit only. What was
		// started before it died has not been started since.
		code := p.ExitStatus
		if p.State == "EXITED" && code >= 0 && code <= 255 && p.SpawnErr == "Bad exit code "+strconv.Itoa(code) &&
			time.Unix(p.Start+1, 0).Before(made) {
			return &schema.Exit{Code: &code}
		}
	case p.SpawnErr == "" || p.State != e.Event[len("PROCESS_STATE_"):]:
	case e.Event == schema.ProcessStateFatal:
		// Nothing follows FATAL but an operator's start.
		if last := time.Unix(max(p.Start, p.Stop), 0); !last.After(at.Add(clockSlack)) {
			return &schema.Exit{SpawnErr: p.SpawnErr}
		}
	case strings.HasPrefix(p.SpawnErr, tooQuickly) && soon(p.Stop), !strings.HasPrefix(p.SpawnErr, tooQuickly) && soon(p.Start):
		return &schema.Exit{SpawnErr: p.SpawnErr}
	}
	return nil
}
