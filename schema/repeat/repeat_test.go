package repeat

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestErrors(t *testing.T) {
	var e Errors
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for i, c := range []struct {
		text  string
		after time.Duration
		want  bool
	}{
		{text: "dial tcp 192.0.2.1:5432: refused", want: true},
		{text: "dial tcp 192.0.2.1:5432: refused", after: time.Second},
		{text: "dial tcp 192.0.2.7:61000: refused", after: time.Second}, // only numbers differ
		{text: "timeout", after: time.Second, want: true},
		{text: "dial tcp 192.0.2.1:5432: refused", after: time.Second}, // alternates
		{text: "timeout", after: 59 * time.Minute},
		{text: "timeout", after: 2 * time.Minute, want: true}, // after an hour again
	} {
		if now = now.Add(c.after); e.FailedAt(c.text, now) != c.want {
			t.Errorf("%d: %s: logged is %v", i, c.text, !c.want)
		}
	}
	if n, begun := e.Over(); n != 7 || now.Sub(begun) < time.Hour {
		t.Errorf("%d since %v", n, begun)
	}
	if n, _ := e.Over(); n != 0 {
		t.Errorf("%d errors after the end", n)
	}
	if !e.Failed(errors.New("timeout")) {
		t.Error("the first error after the end is not logged")
	}
}

// An error that has another text each time fills neither the memory nor the log.
func TestManyKinds(t *testing.T) {
	var e Errors
	logged := 0
	for i := range 10_000 {
		if e.Failed(fmt.Errorf("%s is wrong", strings.Repeat("x", 1+i%200)+fmt.Sprintf("%c%c", 'a'+i%26, 'a'+i/26%26))) {
			logged++
		}
	}
	if logged > maxKinds+1 || len(e.logged) > maxKinds+1 {
		t.Errorf("%d are logged and %d kept", logged, len(e.logged))
	}
	if kind := kindOf(strings.Repeat("é", 500)); len(kind) > maxKind {
		t.Errorf("kind of %d bytes", len(kind))
	}
}

// What was logged long ago takes no room from what is new: some tasks never end.
func TestKindsOfLongAgo(t *testing.T) {
	var e Errors
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for i := range 2 * maxKinds {
		e.FailedAt(strings.Repeat("x", 1+i), now)
	}
	now = now.Add(2 * remindAfter)
	for _, text := range []string{"disk is full", "connection refused"} {
		if !e.FailedAt(text, now) || e.FailedAt(text, now) {
			t.Errorf("%q is not logged once", text)
		}
	}
}
