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
