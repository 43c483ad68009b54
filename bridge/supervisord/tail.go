package supervisord

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
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

// wish is what is wanted of one process.
type wish struct {
	*Received
	info map[string]any
	// tails are of stdout and stderr; texts what they gave, done whether they need
	// not be asked for.
	tails [2]tailOf
	texts [2]string
	done  [2]bool
}

// complete adds what the log did not tell, and the tails: from the files where they
// may be read, else in at most two requests.
func (r *Reasons) complete(ctx context.Context, deaths []Received) {
	wishes := r.wishes(deaths)
	r.inform(ctx, wishes)
	for _, w := range wishes {
		if w.Event.Exit == nil && w.info != nil {
			if exit := infoExit(w.Event, process(w.info), r.made[w.Event.Serial], w.At, r.goPort()); exit != nil {
				r.explain(w.Event, exit)
				if p := r.replay.procs[procID{w.Event.Group, w.Event.Process}]; p != nil && w.Event.Event == schema.ProcessStateBackoff {
					p.backoff = exit
				}
			}
		}
		if w.wantsLog(r.cfg.Tail) {
			r.readTails(w)
		}
	}
	r.askTails(ctx, wishes)
	for _, w := range wishes {
		if w.Event.Log == nil && (w.texts[0] != "" || w.texts[1] != "") {
			w.Event.Log = &schema.Log{Stdout: w.texts[0], Stderr: w.texts[1]}
		}
	}
}

// goPort reports whether this is the Go port of supervisord.
func (r *Reasons) goPort() bool {
	return r.log.goPort || r.cfg.Client != nil && r.cfg.Client.noMulticall.Load()
}

// inform asks for the state of processes whose death has no reason yet, or of which it
// is not known where they log.
func (r *Reasons) inform(ctx context.Context, wishes []*wish) {
	if r.cfg.Client == nil || !r.calls.ready(time.Now()) {
		return
	}
	limit := maxAsked
	if r.cfg.Client.noMulticall.Load() {
		limit = maxAskedSingly
	}
	var questions []question
	var take []func(answer)
	for _, w := range slices.Backward(wishes) {
		tails := r.logs.tails(w.Event)
		unknown := w.wantsLog(r.cfg.Tail) && !(tails[0].known && tails[1].known)
		if w.Event.Exit != nil && !unknown || len(questions) >= limit {
			continue
		}
		questions = append(questions, question{"supervisor.getProcessInfo", []any{namespec(w.Event)}})
		take = append(take, func(a answer) {
			if w.info, _ = a.value.(map[string]any); w.info != nil {
				r.logs.learn(process(w.info))
			}
		})
	}
	if r.put(ctx, questions, take) && len(questions) > 0 {
		r.logs.compare()
	}
}

// readTails reads what can be read of files.
func (r *Reasons) readTails(w *wish) {
	w.tails = r.logs.tails(w.Event)
	for i := range w.tails {
		t := &w.tails[i]
		if !t.known || t.none {
			w.done[i] = true
			continue
		}
		raw, whole, err := t.read(rawTail(r.cfg.Tail))
		if err != nil {
			w.done[i] = errors.Is(err, fs.ErrNotExist)
			continue
		}
		w.take(i, raw, r.cfg.Tail, whole)
	}
}

// take takes a tail, unless it is of supervisord's own log after all.
func (w *wish) take(i int, raw string, limit int, whole bool) {
	w.done[i] = true
	if !tellsOf(raw, w.Event.Process) {
		w.texts[i] = shown(raw, limit, whole)
	}
}

// tellsOf reports whether a text holds lines of a log of supervisord about a process.
func tellsOf(raw, process string) bool {
	for s := range strings.Lines(raw) {
		if l := parseLine(strings.TrimRight(s, "\r\n")); l.kind != lineOther && l.name == process {
			return true
		}
	}
	return false
}

// rawTail is how much of a log is read: what a terminal shows of it is much less if
// it holds a progress bar.
func rawTail(limit int) int64 {
	const least, most = 64 << 10, 1 << 20
	return min(max(16*int64(limit), least), most)
}

// shown is the end of what a terminal shows, at most limit bytes.
func shown(raw string, limit int, whole bool) string {
	return lastLines(render(lastLines(raw, len(raw), whole)), limit, true)
}

// askTails asks supervisord for the tails that may not be read.
func (r *Reasons) askTails(ctx context.Context, wishes []*wish) {
	if r.cfg.Client == nil || !r.calls.ready(time.Now()) {
		return
	}
	var questions []question
	var take []func(answer)
	for _, w := range wishes {
		for i := range w.tails {
			if !w.wantsLog(r.cfg.Tail) || w.done[i] || len(questions) >= maxAsked {
				continue
			}
			method := "supervisor.readProcessStdoutLog"
			if i == 1 {
				method = "supervisor.readProcessStderrLog"
			}
			off, n := w.tails[i].span(2 * int64(r.cfg.Tail))
			if n == 0 && off == 0 {
				continue // nothing of this life
			}
			// A tail may begin inside a character, which supervisord cannot decode.
			for extra := range int64(utf8.UTFMax) {
				question := question{method, []any{namespec(w.Event), off - extra, n}}
				if n > 0 {
					question.args[1], question.args[2] = max(off-extra, 0), n+min(extra, off)
				}
				questions = append(questions, question)
				take = append(take, func(a answer) {
					if a.err == nil && !w.done[i] {
						w.take(i, text(a.value), r.cfg.Tail, n > 0 && off == w.tails[i].begin.size)
					}
				})
				if r.cfg.Client.noMulticall.Load() {
					break
				}
			}
		}
	}
	r.put(ctx, questions, take)
}

// span is what to ask for of a log that may not be read: an offset and a length, or
// how much before the end where nothing is known of its size.
func (t *tailOf) span(most int64) (off, n int64) {
	st, err := os.Stat(t.path)
	if err != nil || !st.Mode().IsRegular() {
		return -most, 0
	}
	from, to := int64(0), st.Size()
	if file := inodeOf(st); t.end.file == file && t.end.size < to {
		to = t.end.size
	}
	if t.begin.file == inodeOf(st) && t.begin.size <= to {
		from = t.begin.size
	}
	from = max(from, to-most)
	if from == to {
		return 0, 0
	}
	return from, to - from
}

// wishes are the last deaths of each process: what supervisord tells now, and what
// its log ends with, has nothing to do with those before.
func (r *Reasons) wishes(deaths []Received) []*wish {
	asked := map[procID]bool{}
	var wishes []*wish
	for i := range slices.Backward(deaths) {
		e := deaths[i].Event
		id := procID{e.Group, e.Process}
		if asked[id] {
			continue
		}
		asked[id] = true
		w := &wish{Received: &deaths[i]}
		if w.wantsLog(r.cfg.Tail) || e.Exit == nil {
			wishes = append(wishes, w)
		}
	}
	slices.Reverse(wishes)
	return wishes
}

func namespec(e *schema.Event) string { return e.Group + ":" + e.Process }

// wantsLog reports whether the event gets a tail: a BACKOFF does not, the FATAL after
// it does.
func (w *wish) wantsLog(limit int) bool {
	return limit > 0 && w.Event.Log == nil && w.Event.Event != schema.ProcessStateBackoff
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

// infoExit returns the reason of the last death of a process as its present
// state tells it, nil if that may be of another one: each start clears it
// (process.py spawn), which comes milliseconds after most deaths, and then it
// may have died again. The event was made after made and read at a time.
func infoExit(e *schema.Event, p schema.SnapshotProcess, made, at time.Time, goPort bool) *schema.Exit {
	// By supervisord's clock in whole seconds.
	soon := func(unix int64) bool {
		d := at.Sub(time.Unix(unix, 0))
		return d > -clockSlack && d < prompt
	}
	const tooQuickly = "Exited too quickly"
	switch {
	case p.PID != 0:
		return nil
	case goPort:
		// It keeps the status until the next start, without a word on why.
		code := p.ExitStatus
		if (p.State == "EXITED" || p.State == "BACKOFF") && p.State == e.Event[len("PROCESS_STATE_"):] && code > 0 && code <= 255 && soon(p.Stop) {
			return &schema.Exit{Code: &code}
		}
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
