package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"golang.org/x/term"

	"supernats/schema"
)

const (
	outputTable = "table"
	outputJSON  = "json"
	outputJSONL = "jsonl"
)

type outputFlag struct {
	Output string `short:"o" enum:"table,json,jsonl,auto" default:"auto" env:"SUPERNATS_OUTPUT" help:"table, json or jsonl (default: table on a terminal, jsonl elsewhere)."`
}

func outputFor(w *os.File, output string) string {
	if output != "auto" {
		return output
	}
	if term.IsTerminal(int(w.Fd())) {
		return outputTable
	}
	return outputJSONL
}

// printer writes events in one of the forms.
type printer struct {
	w      *bufio.Writer
	output string
	color  bool
	// width is that of the screen, 0 if lines have no limit.
	width int
	count int
	// last is the event that is about to be printed, decoded.
	last *schema.CloudEvent[*schema.Event]
}

func newPrinter(w *os.File, output string) *printer {
	return &printer{
		w: bufio.NewWriterSize(w, 64<<10), output: outputFor(w, output),
		color: term.IsTerminal(int(w.Fd())) && os.Getenv("NO_COLOR") == "", width: screenWidth(w),
	}
}

// event prints one payload.
func (p *printer) event(payload []byte) error {
	p.count++
	switch p.output {
	case outputJSONL:
		_, _ = p.w.Write(oneLine(payload))
	case outputJSON:
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
	default:
		p.line(p.last)
	}
	return p.w.WriteByte('\n')
}

func (p *printer) flush() error { return p.w.Flush() }

// end completes the output.
func (p *printer) end() error {
	if p.output == outputJSON {
		if p.count == 0 {
			_, _ = p.w.WriteString("[")
		}
		_, _ = p.w.WriteString("\n]\n")
	}
	return p.w.Flush()
}

// processName writes a process as supervisorctl does.
func processName(group, process string) string {
	if group == process {
		return process
	}
	return group + ":" + process
}

func reason(x *schema.Exit) string {
	s := ""
	switch {
	case x.Signal != "":
		s = x.Signal
	case x.Code != nil:
		s = "exit code " + strconv.Itoa(*x.Code)
	case x.SpawnErr != "":
		s = "spawn error: " + x.SpawnErr
	}
	if x.Core {
		s += ", core dumped"
	}
	if x.OOM != nil {
		s += ", " + x.OOM.String()
	}
	return s
}

// ran says how long that life of a process lasted, "" if that is not known.
func ran(seconds *float64) string {
	if seconds == nil {
		return ""
	}
	d := schema.Lasted(*seconds)
	switch {
	case d < time.Second:
		return "ran " + d.String()
	case d < 10*time.Second:
		return "ran " + d.Round(100*time.Millisecond).String()
	}
	return "ran " + age(d)
}

// clean takes out what would steer a terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if steers(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// steers reports what a terminal may obey instead of showing it, C1 included.
func steers(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }

// oneLine writes a JSON document without line breaks, and what would steer a
// terminal as an escape.
func oneLine(document []byte) []byte {
	if bytes.IndexFunc(document, steers) < 0 {
		return document
	}
	var compact, b bytes.Buffer
	if err := json.Compact(&compact, document); err != nil {
		return document // cannot be: it was decoded
	}
	for _, r := range compact.String() {
		switch {
		case !steers(r):
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

// printJSON writes records as one array or one a line.
func printJSON[T any](w io.Writer, output string, records []T) error {
	if output == outputJSON {
		if records == nil {
			records = []T{}
		}
		b, err := schema.Marshal(records)
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
