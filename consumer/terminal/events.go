package terminal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"supernats/schema"
)

// EventPrinter writes events as they come, in one of the forms. End completes what it has
// written.
type EventPrinter struct {
	w    *bufio.Writer
	form string
	// colored says that the lines of a table have colors, width is that of the screen, 0
	// if lines have no limit.
	colored bool
	width   int
	count   int
}

// NewEventPrinter returns a printer for a form, of FormAuto the one that fits f.
func NewEventPrinter(f *os.File, form string) *EventPrinter {
	return &EventPrinter{
		w: bufio.NewWriterSize(f, 256<<10), form: FormFor(f, form),
		colored: HasColors(f), width: Width(f),
	}
}

// Print writes an event: payload is what was received, ce the same decoded.
func (p *EventPrinter) Print(payload []byte, ce *schema.CloudEvent[*schema.Event]) error {
	p.count++

	switch p.form {
	case FormJSONL:
		_, _ = p.w.Write(oneLine(payload))
	case FormJSON:
		return p.printElement(payload)
	default:
		_, _ = p.w.WriteString(p.line(ce))
	}
	return p.w.WriteByte('\n')
}

// printElement writes an element of an array, without the end of its line.
func (p *EventPrinter) printElement(payload []byte) error {
	if p.count == 1 {
		_, _ = p.w.WriteString("[\n")
	} else {
		_, _ = p.w.WriteString(",\n")
	}

	var b bytes.Buffer
	if err := json.Indent(&b, oneLine(payload), "  ", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.w, "  %s", b.Bytes())
	return err
}

// Count returns the number of events printed.
func (p *EventPrinter) Count() int { return p.count }

// Flush writes what is buffered.
func (p *EventPrinter) Flush() error { return p.w.Flush() }

// End completes the output.
func (p *EventPrinter) End() error {
	if p.form == FormJSON {
		if p.count == 0 {
			_, _ = p.w.WriteString("[")
		}
		_, _ = p.w.WriteString("\n]\n")
	}
	return p.w.Flush()
}
