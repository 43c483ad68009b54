package terminal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"supernats/schema"
)

// Forms of output.
const (
	FormTable = "table"
	FormJSON  = "json"
	FormJSONL = "jsonl"
	// FormAuto is a table on a terminal and JSON lines elsewhere.
	FormAuto = "auto"
)

// FormFor returns the form that is meant: of FormAuto, the one that fits f.
func FormFor(f *os.File, form string) string {
	if form != FormAuto {
		return form
	}
	if Is(f) {
		return FormTable
	}
	return FormJSONL
}

// PrintJSON writes records as one array, or as one line each.
func PrintJSON[T any](w io.Writer, form string, records []T) error {
	if form == FormJSON {
		return printArray(w, records)
	}

	for _, r := range records {
		b, err := schema.Marshal(r)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s\n", oneLine(b)); err != nil {
			return err
		}
	}
	return nil
}

// PrintRecord writes one record as one document: indented, or on one line.
func PrintRecord(w io.Writer, form string, record any) error {
	if form == FormJSONL {
		return PrintJSON(w, form, []any{record})
	}
	return printIndented(w, record)
}

func printArray[T any](w io.Writer, records []T) error {
	if records == nil {
		records = []T{}
	}
	return printIndented(w, records)
}

func printIndented(w io.Writer, document any) error {
	b, err := schema.Marshal(document)
	if err != nil {
		return err
	}

	var indented bytes.Buffer
	if err := json.Indent(&indented, oneLine(b), "", "  "); err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, indented.String())
	return err
}

// steersTerminal reports whether a terminal may obey a character instead of showing it, C1
// included, or shows nothing where it is.
func steersTerminal(r rune) bool {
	if r < utf8.RuneSelf {
		return r < ' ' || r == '\x7f'
	}
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp,
		unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// isHarmless reports whether a document has nothing that steers a terminal. Most are ASCII,
// and megabytes of them are printed in a second.
func isHarmless(document []byte) bool {
	for i, c := range document {
		if c >= utf8.RuneSelf {
			return bytes.IndexFunc(document[i:], steersTerminal) < 0
		}
		if c < ' ' || c == '\x7f' {
			return false
		}
	}
	return true
}

// oneLine returns a JSON document without line breaks, and with what would steer a
// terminal as escapes.
func oneLine(document []byte) []byte {
	if isHarmless(document) {
		return document
	}
	var compact, b bytes.Buffer
	if err := json.Compact(&compact, document); err != nil {
		return document // cannot be: it was decoded
	}

	for _, r := range compact.String() {
		switch {
		case !steersTerminal(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}
