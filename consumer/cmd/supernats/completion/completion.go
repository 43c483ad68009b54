// Package completion finds what may come next on a command line, for the shells that ask
// for it. Their scripts know nothing of the commands: they ask the program itself.
//
// Whatever goes wrong, there is nothing to complete. The names of hosts and the like come
// from a function, which has little time.
package completion

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"supernats/consumer/terminal"
	"supernats/schema"
)

// Command is the hidden command by which scripts ask: the words so far follow, the last
// one as far as it is written.
const Command = "__complete"

var (
	//go:embed supernats.bash
	bash string
	//go:embed supernats.zsh
	zsh string
	//go:embed supernats.fish
	fish string
)

// Scripts are the scripts of the shells, by name.
var Scripts = map[string]string{"bash": bash, "zsh": zsh, "fish": fish}

const (
	// filesWanted is a line that lets the shell complete files.
	filesWanted = ":files"
	// namesTimeout is how long one waits for names of hosts and the like.
	namesTimeout = 1500 * time.Millisecond
	// maxCandidates are printed at most.
	maxCandidates = 500
)

// Completer finds what may come next on a command line.
type Completer struct {
	Parser *kong.Kong
	// Names calls add with what a flag or an argument may name, of a kind that is
	// one of namedKinds. flags are those of the connection and the configuration that stand on
	// the command line.
	Names func(ctx context.Context, flags []string, kind string, add func(name string))
}

// candidate is a word that may come next, with its help.
type candidate struct{ word, help string }

// Complete prints the words that may take the place of the last one, each with its help
// after a tab.
func (c *Completer) Complete(w io.Writer, words []string) {
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	if len(words) > 1 && words[0] == "help" { // help ps is ps --help
		words = words[1:]
	}
	if len(words) == 0 {
		words = []string{""}
	}

	last := len(words) - 1
	current, prefix := words[last], ""
	at := c.walk(words[:last])
	if at.value == nil && strings.HasPrefix(current, "--") {
		if name, _, ok := strings.Cut(current, "="); ok {
			if f := findFlag(at.node, name); f != nil {
				at.value, prefix = f.Value, name+"="
				current = strings.TrimPrefix(current, prefix)
			}
		}
	}

	printed := 0
	for _, found := range c.candidates(at, current) {
		if found.word != filesWanted && !strings.HasPrefix(found.word, current) || printed == maxCandidates {
			continue
		}
		if found.word != terminal.Clean(found.word) {
			continue // a name may hold anything, and another one would not be that
		}
		printed++
		line := prefix + found.word
		if found.word == filesWanted {
			line = found.word
		}
		if found.help != "" {
			line += "\t" + found.help
		}
		fmt.Fprintln(w, line)
	}
}

// candidates returns what may come at a place of the command line, some of which does not
// begin with the current word.
func (c *Completer) candidates(at place, current string) (list []candidate) {
	switch {
	case at.value != nil:
		return c.values(at.value, at.flags)
	case strings.HasPrefix(current, "-"):
		return flagsOf(at.node)
	}

	for _, child := range at.node.Children {
		if !child.Hidden && at.arguments == 0 {
			list = append(list, candidate{child.Name, child.Help})
		}
	}
	command := meantBy(at.node)
	if n := len(command.Positional); n > 0 {
		list = append(list, c.values(command.Positional[min(at.arguments, n-1)], at.flags)...)
	}
	return list
}

// place is where the current word of a command line stands.
type place struct {
	node *kong.Node
	// value is the flag that wants a value, nil if none does.
	value *kong.Value
	// arguments is how many stand before it.
	arguments int
	// flags are those of the connection and the configuration before it.
	flags []string
}

// walk goes along the words before the current one.
func (c *Completer) walk(words []string) place {
	at := place{node: c.Parser.Model.Node}
	for i := 0; i < len(words); i++ {
		word := words[i]
		if !strings.HasPrefix(word, "-") || word == "-" {
			at.enter(word)
			continue
		}

		name, text, given := strings.Cut(word, "=")
		f := findFlag(at.node, name)
		if f == nil || f.IsBool() {
			continue
		}
		if !given {
			if i++; i < len(words) && words[i] == "=" { // bash divides there
				i++
			}
			if i >= len(words) {
				at.value = f.Value
				return at
			}
			text = words[i]
		}
		if strings.HasPrefix(f.Name, "nats-") || f.Name == "config" {
			at.flags = append(at.flags, "--"+f.Name+"="+text)
		}
	}
	return at
}

// enter goes past a command or an argument.
func (p *place) enter(word string) {
	child := slices.IndexFunc(p.node.Children, func(n *kong.Node) bool { return n.Name == word })
	if child >= 0 {
		p.node = p.node.Children[child]
	} else {
		p.arguments++
	}
}

// meantBy is the command that runs: hosts is hosts list.
func meantBy(node *kong.Node) *kong.Node {
	if node.DefaultCmd != nil {
		return node.DefaultCmd
	}
	return node
}

// findFlag returns the flag of a command, or of one above it, that is written like this.
func findFlag(node *kong.Node, written string) *kong.Flag {
	for node = meantBy(node); node != nil; node = node.Parent {
		for _, f := range node.Flags {
			if written == "--"+f.Name || f.Short != 0 && written == "-"+string(f.Short) {
				return f
			}
		}
	}
	return nil
}

func flagsOf(node *kong.Node) (list []candidate) {
	for node = meantBy(node); node != nil; node = node.Parent {
		for _, f := range node.Flags {
			if !f.Hidden {
				list = append(list, candidate{"--" + f.Name, f.Help})
			}
		}
	}
	return list
}

// namedKinds are the flags and arguments whose values are names from an installation: by their
// own name, or what their tag `completes` says.
var namedKinds = []string{
	"host", "group", "process", "pattern", "rule", "receiver", "alert", "open-alert", "acknowledged-alert", "id",
}

// values returns what may stand for a flag or an argument.
func (c *Completer) values(v *kong.Value, flags []string) []candidate {
	kind := cmp.Or(v.Tag.Get("completes"), v.Name)
	switch {
	case v.Enum != "":
		return asCandidates(slices.DeleteFunc(v.EnumSlice(), func(s string) bool { return s == "" }))
	case v.Flag != nil && slices.Contains([]string{"FILE", "DIR"}, v.Flag.PlaceHolder), v.Name == "file":
		return asCandidates([]string{filesWanted})
	case v.Name == "state":
		return asCandidates(append(schema.States(), "DOWN"))
	case v.Name == "event":
		return asCandidates(append(schema.Families(), schema.Names()...))
	case !slices.Contains(namedKinds, kind):
		return nil
	}

	ctx, cancel := context.WithTimeout(context.Background(), namesTimeout)
	defer cancel()
	names := map[string]bool{}
	c.Names(ctx, flags, kind, func(name string) { names[name] = true })
	delete(names, "")
	return asCandidates(slices.Sorted(maps.Keys(names)))
}

func asCandidates(words []string) []candidate {
	list := make([]candidate, len(words))
	for i, word := range words {
		list[i].word = word
	}
	return list
}
