package supervisord

import (
	"context"
	"unicode/utf8"

	"supernats/schema"
)

// IsGoPort reports whether this is known to be the Go port of supervisord, by its want of
// system.multicall: each question is then a request of its own.
func (c *Client) IsGoPort() bool { return c.noMulticall.Load() }

// ProcessInfo reads rows of the process table, of processes named group:process, in one
// request. A row is nil where supervisord has none to give.
func (c *Client) ProcessInfo(ctx context.Context, names []string) ([]*schema.SnapshotProcess, error) {
	questions := make([]question, len(names))
	for i, name := range names {
		questions[i] = question{"supervisor.getProcessInfo", []any{name}}
	}
	answers, err := c.ask(ctx, questions...)
	if err != nil {
		return nil, err
	}

	rows := make([]*schema.SnapshotProcess, len(names))
	for i, a := range answers {
		if row, ok := a.value.(map[string]any); ok {
			p := process(row)
			rows[i] = &p
		}
	}
	return rows, nil
}

// LogPart is a part of the log of a process.
type LogPart struct {
	Name   string // group:process
	Stderr bool
	// Offset and Length are in bytes. With a Length of 0, Offset is negative and counts
	// from the end.
	Offset, Length int64
}

// ReadProcessLogs reads parts of the logs of processes in one request. A text is nil
// where supervisord cannot read it. A part that begins inside a character, which
// supervisord cannot decode, is read from up to three bytes before.
func (c *Client) ReadProcessLogs(ctx context.Context, parts []LogPart) ([]*string, error) {
	var questions []question
	var partOf []int
	for i, p := range parts {
		for extra := range int64(utf8.UTFMax) {
			questions = append(questions, p.question(extra))
			partOf = append(partOf, i)
			if c.noMulticall.Load() {
				break
			}
		}
	}
	answers, err := c.ask(ctx, questions...)
	if err != nil {
		return nil, err
	}

	texts := make([]*string, len(parts))
	for i, a := range answers {
		if part := partOf[i]; a.err == nil && texts[part] == nil {
			s := text(a.value)
			texts[part] = &s
		}
	}
	return texts, nil
}

// question asks for a part, and extra bytes before it.
func (p LogPart) question(extra int64) question {
	method := "supervisor.readProcessStdoutLog"
	if p.Stderr {
		method = "supervisor.readProcessStderrLog"
	}
	off, n := p.Offset-extra, p.Length
	if n > 0 {
		off, n = max(off, 0), n+min(extra, p.Offset)
	}
	return question{method, []any{p.Name, off, n}}
}
