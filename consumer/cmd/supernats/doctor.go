package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/term"

	"supernats/consumer/config"
)

type doctorCmd struct{ outputFlag }

// Grades of a finding.
const (
	gradeOK   = "ok"
	gradeWarn = "warn"
	gradeFail = "fail"
)

// finding is what a check has found.
type finding struct {
	Status  string `json:"status"`
	Check   string `json:"check"`
	Message string `json:"message"`
	// Mend is what to do about it.
	Mend string `json:"mend,omitempty"`
}

// doctor looks at an installation and changes nothing.
type doctor struct {
	js       jetstream.JetStream
	guard    *guard
	cfg      config.Config
	written  bool // cfg is that of a file
	findings []finding
	// check is the one that is under way.
	check string
	// active says that a `supernats consume` is.
	active bool
}

func (d *doctor) ok(format string, args ...any) {
	d.add(gradeOK, "", format, args...)
}

func (d *doctor) warn(mend, format string, args ...any) {
	d.add(gradeWarn, mend, format, args...)
}

func (d *doctor) fail(mend, format string, args ...any) {
	d.add(gradeFail, mend, format, args...)
}

func (d *doctor) add(grade, mend, format string, args ...any) {
	d.findings = append(d.findings, finding{grade, d.check, fmt.Sprintf(format, args...), mend})
}

// Run prints what is wrong with the installation.
func (c *doctorCmd) Run(ctx context.Context, common *common) error {
	d := doctor{guard: new(guard), written: common.Config != ""}
	if err := d.configure(common); err != nil {
		return err
	}
	js, closeConn, err := dial(d.cfg, d.guard)
	if err != nil {
		d.check = "nats"
		d.fail("start nats-server or `supernats consume`; --nats-url, --nats-context or -c FILE say where it is", "%v", errors.Unwrap(err))
		d.check = "ready"
		if err := d.ready(ctx); err != nil {
			return err
		}
	} else {
		defer closeConn()
		d.js = js
		d.look(ctx)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if output := outputFor(os.Stdout, c.Output); output != outputTable {
		err = printJSON(os.Stdout, output, d.findings)
	} else {
		err = printFindings(os.Stdout, d.findings)
	}
	if err != nil {
		return err
	}
	if n := d.failed(); n > 0 {
		return fmt.Errorf("%d of %d checks failed", n, len(d.findings))
	}
	return nil
}

func (d *doctor) failed() (n int) {
	for _, f := range d.findings {
		if f.Status == gradeFail {
			n++
		}
	}
	return n
}

// look makes all checks. One that cannot be made hides no other.
func (d *doctor) look(ctx context.Context) {
	before := d.failed() // in the configuration file
	for _, c := range []struct {
		name string
		do   func(ctx context.Context) error
	}{
		{"nats", d.server},
		{"jetstream", d.jetStream},
		{"streams", d.streams},
		{"buckets", d.buckets},
		{"writes", d.writes},
		{"ready", d.ready},
		{"consume", d.consume},
		{"events", d.events},
		{"receivers", d.receivers},
		{"parked", d.parked},
		{"hosts", d.hosts},
	} {
		if d.failed() > before && c.name == "streams" {
			return // without JetStream nothing else can be looked at
		}
		d.check = c.name
		err := d.guard.run(ctx, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
			defer cancel()
			return c.do(ctx)
		})
		var denied *deniedError
		switch {
		case errors.As(err, &denied):
			d.warn(fmt.Sprintf("add %q to the %s permissions of this NATS user, or look as another one", rightTo(denied.subject), denied.verb),
				"cannot look: this NATS user may not %s %s", denied.verb, denied.subject)
		case err != nil:
			d.fail("mend what stands above, then run `supernats doctor` again", "%v", err)
		}
	}
}

// printFindings writes a line for each check, and what to do about it. A terminal gets
// them broken to its width, under where they begin.
func printFindings(w io.Writer, findings []finding) error {
	paint := func(_ string, text string) string { return text }
	width := 0
	if f, ok := w.(*os.File); ok {
		width = screenWidth(f)
		if term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" {
			colors := map[string]string{gradeOK: "32", gradeWarn: "33", gradeFail: "31"}
			paint = func(grade, text string) string { return "\x1b[" + colors[grade] + "m" + text + "\x1b[0m" }
		}
	}

	for _, f := range findings {
		head := paint(f.Status, fmt.Sprintf("%-4s", f.Status)) + "  " + padTo(f.Check, 9) + "  "
		if _, err := io.WriteString(w, head+hanging(f.Message, findingIndent, width)); err != nil {
			return err
		}
		if f.Mend == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%*s%s", findingIndent, "-> ", hanging(f.Mend, findingIndent, width)); err != nil {
			return err
		}
	}
	return nil
}

// findingIndent is where a message begins.
const findingIndent = 17
