package manpage

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// page is a page of mdoc(7) that is being written. Macros stand on lines of their own, which
// begin with a dot; all else is text, a sentence on each line.
type page struct{ strings.Builder }

// maxLine is how long a line of text is at most.
const maxLine = 78

func (p *page) macro(line string)   { fmt.Fprintf(p, ".%s\n", line) }
func (p *page) section(name string) { p.macro("Sh " + name) }

// text writes sentences, each on lines of its own.
func (p *page) text(s string) {
	for sentence := range strings.SplitSeq(strings.ReplaceAll(s, ". ", ".\n"), "\n") {
		line := ""
		for word := range strings.FieldsSeq(sentence) {
			if line != "" && len(line)+1+len(word) > maxLine {
				p.WriteString(escaped(line) + "\n")
				line = ""
			}
			line = strings.TrimPrefix(line+" "+word, " ")
		}
		if line != "" {
			p.WriteString(escaped(line) + "\n")
		}
	}
}

// synopsis writes how a command is called.
func (p *page) synopsis(written string, node *kong.Node) {
	p.macro("Nm " + quoted(written))
	for _, f := range node.Flags {
		if f.Hidden || f.Name == "help" {
			continue
		}
		p.macro("Op " + flagWords(f))
	}
	for _, a := range node.Positional {
		name := "Ar " + strings.ToUpper(a.Name)
		if a.IsCumulative() {
			name += " ..."
		}
		if a.Required {
			p.macro(name)
		} else {
			p.macro("Op " + name)
		}
	}
}

// flagWords writes a flag as the longer of its names, with its value.
func flagWords(f *kong.Flag) string {
	words := `Fl \-` + strings.ReplaceAll(f.Name, "-", `\-`)
	if !f.IsBool() {
		words += " Ns = Ns Ar " + quoted(placeholder(f))
	}
	return words
}

func placeholder(f *kong.Flag) string {
	if f.PlaceHolder != "" {
		return f.PlaceHolder
	}
	return strings.ToUpper(f.Name)
}

// arguments explains what a command takes beside flags.
func (p *page) arguments(list []*kong.Positional) {
	if len(list) == 0 {
		return
	}
	p.macro("Bl -tag -width Ds")
	for _, a := range list {
		p.macro("It Ar " + strings.ToUpper(a.Name))
		p.text(a.Help)
	}
	p.macro("El")
}

// options explains flags.
func (p *page) options(flags []*kong.Flag) {
	if !slices.ContainsFunc(flags, func(f *kong.Flag) bool { return !f.Hidden }) {
		return
	}
	p.macro("Bl -tag -width Ds")
	for _, f := range flags {
		if f.Hidden {
			continue
		}
		words := flagWords(f)
		if f.Short != 0 {
			words = "Fl " + string(f.Short) + " , " + words
		}
		p.macro("It " + words)
		p.text(optionText(f))
	}
	p.macro("El")
}

// optionText is the help of a flag, with its default and what it may be.
func optionText(f *kong.Flag) string {
	text := f.Help
	if f.Enum != "" && !strings.Contains(text, strings.Split(f.Enum, ",")[0]) {
		text += " One of " + strings.Join(slices.DeleteFunc(strings.Split(f.Enum, ","), func(s string) bool {
			return s == ""
		}), ", ") + "."
	}
	if f.HasDefault && f.Default != "" && !f.IsBool() && !strings.Contains(text, "default:") {
		text += " The default is " + f.Default + "."
	}
	return text
}

// environment lists the variables that stand for flags.
func (p *page) environment(flags []*kong.Flag) {
	seen := map[string]bool{}
	for _, f := range flags {
		if f.Hidden || len(f.Envs) == 0 || f.Envs[0] == "-" || seen[f.Envs[0]] {
			continue
		}
		seen[f.Envs[0]] = true
		if len(seen) == 1 {
			p.section("ENVIRONMENT")
			p.macro("Bl -tag -width Ds")
		}
		p.macro("It Ev " + f.Envs[0])
		p.WriteString("stands for\n")
		p.macro(`Fl \-` + strings.ReplaceAll(f.Name, "-", `\-`) + " .")
	}
	if len(seen) > 0 {
		p.macro("El")
	}
}

// literal writes lines as they are.
func (p *page) literal(lines []string) {
	p.macro("Bd -literal -offset indent")
	for _, line := range lines {
		p.WriteString(escaped(line) + "\n")
	}
	p.macro("Ed")
}

// references lists other pages, sorted.
func (p *page) references(pages []string) {
	slices.Sort(pages)
	for i, name := range pages {
		end := " ,"
		if i == len(pages)-1 {
			end = ""
		}
		p.macro("Xr " + name + " 1" + end)
	}
}

// escaped is a line of text in which nothing is a macro or an escape.
func escaped(line string) string {
	line = strings.NewReplacer(`\`, `\e`, "--", `\-\-`, "…", "...").Replace(line)
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		line = `\&` + line
	}
	return line
}

// quoted is one argument of a macro.
func quoted(s string) string {
	s = strings.ReplaceAll(escaped(s), `"`, `""`)
	if strings.ContainsAny(s, ` "`) {
		return `"` + s + `"`
	}
	return s
}

// quotedWords is the rest of a line of a macro: no word of it is one.
func quotedWords(s string) string {
	words := strings.Fields(escaped(s))
	for i, word := range words {
		if len(word) <= 3 && word != strings.ToLower(word) || strings.ContainsAny(word[:1], ".,:;()[]?!|") {
			words[i] = `\&` + word
		}
	}
	return strings.Join(words, " ")
}
