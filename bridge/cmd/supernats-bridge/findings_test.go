package main

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"supernats/schema/checkup"
)

// Text of a configuration does not steer a terminal; every form has all findings.
func TestPrint(t *testing.T) {
	findings := []checkup.Finding{
		{Status: checkup.Warn, Check: "section", Message: "a \x1b[31mred\u202e one", Fix: "write it"},
		{Status: checkup.OK, Check: "nats", Message: "fine"},
	}
	for form, want := range map[string]string{
		formTable: "warn  section      a  [31mred  one\n                -> write it\nok    nats         fine\n",
		formJSON: `[{"status":"warn","check":"section","message":"a  [31mred  one","fix":"write it"},` +
			"\n" + ` {"status":"ok","check":"nats","message":"fine"}]` + "\n",
	} {
		var b bytes.Buffer
		if err := printFindings(&b, findings, form); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, b.String()); d != "" {
			t.Errorf("%s (-want +got):\n%s", form, d)
		}
	}
}
