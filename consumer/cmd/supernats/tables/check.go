package tables

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"supernats/consumer/terminal"
	"supernats/consumer/testalert"
	"supernats/schema/checkup"
)

// findingIndent is the column in which a message begins.
const findingIndent = 17

// PrintFindings writes a line for each finding, and what to do about it. A terminal gets
// them broken to its width, under where they begin.
func PrintFindings(w io.Writer, findings []checkup.Finding) error {
	paint := func(_ checkup.Status, text string) string { return text }
	width := 0
	if f, ok := w.(*os.File); ok {
		width = terminal.Width(f)
		if terminal.HasColors(f) {
			colors := map[checkup.Status]string{checkup.OK: "32", checkup.Warn: "33", checkup.Fail: "31"}
			paint = func(s checkup.Status, text string) string { return "\x1b[" + colors[s] + "m" + text + "\x1b[0m" }
		}
	}

	for _, f := range findings {
		head := paint(f.Status, fmt.Sprintf("%-4s", f.Status)) + "  " + terminal.Pad(f.Check, 9) + "  "
		if _, err := io.WriteString(w, head+terminal.Hanging(f.Message, findingIndent, width)); err != nil {
			return err
		}
		if f.Fix == "" {
			continue
		}
		fix := terminal.Hanging(f.Fix, findingIndent, width)
		if _, err := fmt.Fprintf(w, "%*s%s", findingIndent, "-> ", fix); err != nil {
			return err
		}
	}
	return nil
}

// Outcomes shows what became of a test alert, sorted by receiver.
func Outcomes(outcomes []testalert.Outcome) *terminal.Table {
	t := &terminal.Table{
		Columns: []string{"RECEIVER", "RESULT", "AFTER", "REASON"}, Colored: "RESULT",
		Flexible: map[string]int{"RECEIVER": terminal.WideName, "REASON": terminal.WideText},
	}
	colors := map[string]terminal.Color{
		testalert.Delivered: terminal.Green, testalert.Parked: terminal.Red, testalert.Pending: terminal.Yellow,
	}

	outcomes = slices.Clone(outcomes)
	slices.SortStableFunc(outcomes, func(a, b testalert.Outcome) int { return strings.Compare(a.Receiver, b.Receiver) })
	for _, o := range outcomes {
		t.Add(colors[o.Result], o.Receiver, o.Result, strconv.FormatFloat(o.Seconds, 'f', 1, 64)+"s",
			cmp.Or(o.Reason, "-"))
	}
	return t
}
