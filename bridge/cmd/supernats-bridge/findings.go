package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"supernats/schema"
	"supernats/schema/checkup"
)

// Forms of output of the command doctor.
const (
	formTable = "table"
	formJSON  = "json"
	formJSONL = "jsonl"
)

// printFindings writes findings as a table, an array in JSON or a line of JSON each.
func printFindings(w io.Writer, found []checkup.Finding, form string) error {
	findings := slices.Clone(found)
	for i := range findings {
		f := &findings[i]
		f.Message, f.Fix, f.File, f.Section = clean(f.Message), clean(f.Fix), clean(f.File), clean(f.Section)
	}
	if form == formTable {
		return printTable(w, findings)
	}

	lines := make([]string, len(findings))
	for i, f := range findings {
		b, err := schema.Marshal(f)
		if err != nil {
			return err
		}
		lines[i] = strings.TrimSpace(string(b))
	}
	text := strings.Join(lines, "\n")
	switch {
	case form == formJSON:
		text = "[" + strings.Join(lines, ",\n ") + "]"
	case text == "":
		return nil
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

// printTable writes a line for each finding, and one with what to do about it.
func printTable(w io.Writer, findings []checkup.Finding) error {
	for _, f := range findings {
		if _, err := fmt.Fprintf(w, "%-4s  %-11s  %s\n", f.Status, f.Check, f.Message); err != nil {
			return err
		}
		if f.Fix == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%19s%s\n", "-> ", f.Fix); err != nil {
			return err
		}
	}
	return nil
}

// clean keeps a configuration's text from steering a terminal.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, text)
}
