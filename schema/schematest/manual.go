package schematest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Manual is one of the project's documents.
type Manual struct {
	// File is its path below the project's root.
	File string
	Text string
}

// Command is one line of a manual that calls a program.
type Command struct {
	File string
	// Words are the program and its arguments, as a shell would hand them over.
	Words []string
}

// Root returns the project's folder.
func Root(t testing.TB) string {
	t.Helper()
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(strings.TrimSpace(string(mod)))
}

// Manuals returns all documents that people read.
func Manuals(t testing.TB) (list []Manual) {
	t.Helper()
	root := Root(t)

	for _, pattern := range []string{"*.md", "*/README.md", "*/*/README.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name, err := filepath.Rel(root, file)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, Manual{File: name, Text: string(text)})
		}
	}

	if len(list) < 5 {
		t.Fatalf("only %d manuals were found in %s", len(list), root)
	}
	return list
}

var (
	inline    = regexp.MustCompile("`([^`\n]+)`")
	continued = regexp.MustCompile(`\\\n\s*`)
	// word is a word of the shell. A comment, a redirection, a pipe or another command
	// ends the words of one.
	word = regexp.MustCompile(`^\s*('[^']*'|"[^"]*"|[^\s'"|>;&#][^\s|>;&]*)`)
)

// Commands returns every call of a program in the manuals: lines of blocks, and what
// stands in backquotes.
func Commands(t testing.TB, program string) (list []Command) {
	t.Helper()
	for _, m := range Manuals(t) {
		var calls []string
		for line := range strings.Lines(continued.ReplaceAllString(m.Text, " ")) {
			if code := strings.TrimLeft(line, " "); len(line)-len(code) >= 4 {
				calls = append(calls, code)
			}
			for _, quoted := range inline.FindAllStringSubmatch(line, -1) {
				calls = append(calls, quoted[1])
			}
		}

		for _, call := range calls {
			if words := wordsOf(call); len(words) > 0 && words[0] == program {
				list = append(list, Command{File: m.File, Words: words})
			}
		}
	}
	if len(list) == 0 {
		t.Fatalf("no manual calls %s", program)
	}
	return list
}

// wordsOf divides a line as a shell would, nil where it is no complete command.
func wordsOf(line string) (words []string) {
	if strings.Contains(line, "…") {
		return nil
	}
	for {
		m := word.FindStringSubmatch(line)
		if m == nil {
			return words
		}
		words = append(words, strings.Trim(m[1], `'"`))
		line = line[len(m[0]):]
	}
}
