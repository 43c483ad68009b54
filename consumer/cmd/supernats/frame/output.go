package frame

import (
	"os"

	"supernats/consumer/terminal"
)

// OutputFlag is the flag of every command that prints records.
type OutputFlag struct {
	Output string `short:"o" enum:"table,json,jsonl,auto" default:"auto" env:"SUPERNATS_OUTPUT" help:"${help_output}"`
}

// Form is the form of what goes to stdout.
func (o *OutputFlag) Form() string { return terminal.FormFor(os.Stdout, o.Output) }

// Print prints records to stdout in the form that the flag asks for; table prints them as one.
func Print[T any](o *OutputFlag, records []T, table func(w *os.File) error) error {
	form := o.Form()
	if form == terminal.FormTable {
		return table(os.Stdout)
	}
	return terminal.PrintJSON(os.Stdout, form, records)
}
