package fleettest

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"supernats/schema/logtest"
)

// Buffer is a log that can be read while it is written.
type Buffer = logtest.Buffer

var (
	numbers   = regexp.MustCompile(`\d+`)
	needsUnit = regexp.MustCompile(`(_in|lasted|took|wait|pause|size|bytes|age|timeout)$`)
)

// WellWritten checks a log: no key is there twice in a line, every time span and size
// has its unit in its name, and no warning or error is there twice.
func WellWritten(t *testing.T, log string) {
	t.Helper()
	seen := map[string]int{}
	for line := range strings.Lines(log) {
		d := json.NewDecoder(strings.NewReader(line))
		keys, record := map[string]bool{}, map[string]string{}
		if _, err := d.Token(); err != nil {
			t.Fatalf("%v: %s", err, line)
		}

		for d.More() {
			key, err := d.Token()
			if err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			var value json.RawMessage
			if err := d.Decode(&value); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			name := key.(string)
			if keys[name] {
				t.Errorf("key %q is there twice: %s", name, line)
			}
			keys[name], record[name] = true, string(value)
			isNumber := bytes.IndexByte([]byte("-0123456789"), value[0]) >= 0
			if isNumber && needsUnit.MatchString(name) && !strings.HasSuffix(name, "_bytes") {
				t.Errorf("%q has no unit: %s", name, line)
			}
		}

		if level := record["level"]; level == `"warn"` || level == `"error"` {
			what := record["message"] + record["error"] + record["receiver"] + record["consumer"]
			what = numbers.ReplaceAllString(what, "#")
			if seen[what]++; seen[what] == 2 {
				t.Errorf("is there again: %s", line)
			}
		}
	}
}

// Warnings are the lines of a log that an operator sees at the level warn.
func Warnings(log string) (lines []string) {
	for line := range strings.Lines(log) {
		if strings.Contains(line, `"level":"warn"`) || strings.Contains(line, `"level":"error"`) {
			lines = append(lines, line)
		}
	}
	return lines
}
