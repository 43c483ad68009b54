package config

import (
	"regexp"
	"strings"
	"testing"

	"supernats/schema/schematest"
)

// ourBlock is a piece of a configuration file in a manual.
var ourBlock = regexp.MustCompile("(?ms)^```yaml\n((?:rules|receivers|mail|data_dir|nats|embedded):.*?)^```")

// Every piece of a configuration in the manuals is valid.
func TestManuals(t *testing.T) {
	const mail = "mail: {smarthost: 'h:25', from: a@b.c, to: [d@e.f]}\n"
	found := 0
	for _, m := range schematest.Manuals(t) {
		for _, block := range ourBlock.FindAllStringSubmatch(m.Text, -1) {
			found++
			text := block[1]
			if !strings.Contains(text, "\nmail:") {
				text += mail // receivers of mail have the rest from there
			}
			c := Default()
			if err := checkFile(decode(m.File, []byte(text), &c), &c, false); err != nil {
				t.Errorf("%v in\n%s", err, text)
			}
		}
	}
	if found < 3 {
		t.Errorf("only %d pieces were found", found)
	}
}
