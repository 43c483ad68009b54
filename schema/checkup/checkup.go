// Package checkup is what a doctor says: findings, each graded, with what to do about it.
// `supernats doctor` examines an installation, `supernats-bridge doctor` a host, and the
// first shows what the second has found: in JSON both are the same.
//
// Their tables are not here: that of `supernats` is broken to the width of a terminal, and
// painted, by the package with which all its commands print.
package checkup

import "fmt"

// Status grades a finding.
type Status string

// Statuses.
const (
	OK   Status = "ok"
	Warn Status = "warn"
	Fail Status = "fail"
)

// Finding is what a check has found.
type Finding struct {
	Status Status `json:"status"`
	// Check is the name of the check.
	Check string `json:"check"`
	// Message is what is so. In supervisord's configuration it begins with the place.
	Message string `json:"message"`
	// Fix is what to do about it, most often a command.
	Fix string `json:"fix,omitempty"`
	// File, Line and Section are a place in supervisord's configuration.
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Section string `json:"section,omitempty"`
}

// Failed counts the failures among findings.
func Failed(findings []Finding) (n int) {
	for _, f := range findings {
		if f.Status == Fail {
			n++
		}
	}
	return n
}

// Error is what a doctor ends with; nil if no finding is a failure.
func Error(findings []Finding) error {
	if n := Failed(findings); n > 0 {
		return fmt.Errorf("%d of %d checks failed", n, len(findings))
	}
	return nil
}

// Report collects the findings of one check.
type Report struct {
	// Check is the name that each finding gets.
	Check    string
	Findings []Finding
}

// Add adds a finding under the name of the check.
func (r *Report) Add(f Finding) {
	f.Check = r.Check
	r.Findings = append(r.Findings, f)
}

// OK reports what is as it should be.
func (r *Report) OK(format string, args ...any) {
	r.Add(Finding{Status: OK, Message: fmt.Sprintf(format, args...)})
}

// Warn reports what works, and not as it should.
func (r *Report) Warn(fix, format string, args ...any) {
	r.Add(Finding{Status: Warn, Fix: fix, Message: fmt.Sprintf(format, args...)})
}

// Fail reports what does not work.
func (r *Report) Fail(fix, format string, args ...any) {
	r.Add(Finding{Status: Fail, Fix: fix, Message: fmt.Sprintf(format, args...)})
}
