package doctor

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/inspect"
	"supernats/schema/checkup"
)

// findingsOf examines an installation, and returns a line for each finding.
func findingsOf(t *testing.T, in *Installation) (lines []string) {
	t.Helper()
	in.Guard = new(inspect.Guard)
	for _, f := range Examine(t.Context(), in) {
		lines = append(lines, string(f.Status)+" "+f.Check+": "+f.Message)
	}
	return lines
}

// Without NATS the checks that need it are not made.
func TestExamineWithoutNATS(t *testing.T) {
	got := findingsOf(t, &Installation{
		Unreachable: errors.New("connection refused"),
		Config:      Configuration{File: "c.yaml", Found: true, Summary: "6 rules", Warnings: []string{"x is not used; remove it"}},
	})
	want := []string{"ok config: c.yaml: 6 rules", "fail nats: connection refused", "warn ready: x is not used"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestExamineAWrongConfiguration(t *testing.T) {
	denied := &os.PathError{Op: "open", Path: "c.yaml", Err: os.ErrPermission}
	missing := &os.PathError{Op: "open", Path: "c.yaml", Err: os.ErrNotExist}
	for _, c := range []struct {
		name string
		err  error
		want []string
	}{
		{name: "mistakes", err: errors.New("c.yaml:1:1: a\n  b\nc.yaml:2:1: c"), want: []string{"fail config: c.yaml:1:1: a\n  b", "fail config: c.yaml:2:1: c"}},
		{name: "may not be read", err: denied, want: []string{"warn config: cannot check: open c.yaml: permission denied"}},
		{name: "is missing", err: missing, want: []string{"fail config: open c.yaml: file does not exist"}},
	} {
		got := findingsOf(t, &Installation{Unreachable: errors.New("x"), Config: Configuration{File: "c.yaml", Err: c.err}})
		if d := cmp.Diff(append(c.want, "fail nats: x"), got); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

// A check that ends with an error keeps what it has found by then.
func TestCheckEndsWithAnError(t *testing.T) {
	c := check{name: "x", run: func(_ context.Context, _ *Installation, r *checkup.Report) error {
		r.OK("one")
		return errors.New("two")
	}}
	want := []checkup.Finding{
		{Status: checkup.OK, Check: "x", Message: "one"},
		{Status: checkup.Fail, Check: "x", Message: "two", Fix: "fix what stands above, then run `supernats doctor` again"},
	}
	if d := cmp.Diff(want, c.makeCheck(t.Context(), &Installation{Guard: new(inspect.Guard)})); d != "" {
		t.Error(d)
	}
}
