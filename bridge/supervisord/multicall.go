package supervisord

import (
	"context"
	"errors"
	"fmt"
)

// A question is one call among several.
type question struct {
	method string
	args   []any
}

// An answer is its value, or a *Fault or *StatusError.
type answer struct {
	value any
	err   error
}

// ask puts several questions in one request, or one after the other where there is no
// system.multicall: the Go port answers HTTP 400 to it. An answer that is missing is an
// error of that answer.
func (c *Client) ask(ctx context.Context, questions ...question) ([]answer, error) {
	answers, _, err := c.askCounting(ctx, questions...)
	return answers, err
}

// askCounting also returns by how many bytes cleaning has made the answers longer.
func (c *Client) askCounting(ctx context.Context, questions ...question) (_ []answer, added int, _ error) {
	if c.noMulticall.Load() {
		return c.askSingly(ctx, questions)
	}

	answers, added, err := c.multicall(ctx, questions)
	if err == nil || !isRefused(err) {
		return answers, added, err
	}
	var fault *Fault
	if errors.As(err, &fault) && fault.ShuttingDown() {
		return nil, 0, err
	}
	return c.askSingly(ctx, questions)
}

// isRefused reports whether supervisord has answered that it cannot answer.
func isRefused(err error) bool {
	var fault *Fault
	var status *StatusError
	return errors.As(err, &fault) || errors.As(err, &status)
}

// askSingly puts each question in a request of its own.
func (c *Client) askSingly(ctx context.Context, questions []question) (answers []answer, added int, _ error) {
	answers = make([]answer, len(questions))
	answered := false
	for i, q := range questions {
		value, more, err := c.call(ctx, q.method, q.args...)
		if err != nil && !isRefused(err) {
			return nil, 0, err
		}
		answers[i] = answer{value, err}
		added += more
		answered = answered || err == nil
	}

	if answered {
		c.noMulticall.Store(true)
	}
	return answers, added, nil
}

// multicall puts several questions in one request. supervisord then turns into
// a fault of that question what would be HTTP 500 by itself (xmlrpc.py
// multicall), and answers bare values where others answer arrays of one.
func (c *Client) multicall(ctx context.Context, questions []question) (answers []answer, added int, err error) {
	calls := make([]any, len(questions))
	for i, q := range questions {
		calls[i] = map[string]any{"methodName": q.method, "params": q.args}
	}
	value, added, err := c.call(ctx, "system.multicall", calls)
	if err != nil {
		return nil, 0, err
	}

	values, ok := value.([]any)
	if !ok || len(values) != len(questions) {
		return nil, 0, fmt.Errorf("call system.multicall at %s: %w: want an array of %d answers, got %.100v",
			c.name, ErrNotXMLRPC, len(questions), value)
	}
	answers = make([]answer, len(values))
	for i, v := range values {
		answers[i] = answerOf(v)
	}
	return answers, added, nil
}

// answerOf is one value of a multicall, which may be a fault.
func answerOf(v any) answer {
	if m, ok := v.(map[string]any); ok {
		if code, ok := m["faultCode"]; ok {
			return answer{err: &Fault{int(integer(code)), text(m["faultString"])}}
		}
	}
	return answer{value: v}
}
