package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/stream"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// The scripts ask the program itself what may come next: completeCommand and the words
// so far, the last one as far as it is written.
var (
	//go:embed completion/supernats.bash
	bashCompletion string
	//go:embed completion/supernats.zsh
	zshCompletion string
	//go:embed completion/supernats.fish
	fishCompletion string
)

// Run prints the script that completes commands, flags and names.
func (c *completionCmd) Run() error {
	_, err := fmt.Print(map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[c.Shell])
	return err
}

const (
	completeCommand = "__complete"
	// filesWanted is a line that lets the shell complete files.
	filesWanted = ":files"
	// completeFor is how long one waits for names of hosts and the like.
	completeFor = 1500 * time.Millisecond
	// maxCandidates are printed at most.
	maxCandidates = 500
)

// completer finds what may come next on a command line.
type completer struct {
	parser *kong.Kong
	common *common
	// flags are those of the connection that stand on the command line.
	flags []string
}

// candidate is a word, and what it is.
type candidate struct{ word, help string }

// complete prints the words that may take the place of the last one.
func (c *completer) complete(w io.Writer, words []string) {
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	if len(words) == 0 {
		words = []string{""}
	}
	current := words[len(words)-1]
	node, value, arguments := c.walk(words[:len(words)-1])
	prefix := ""
	if value == nil && strings.HasPrefix(current, "--") {
		if name, _, ok := strings.Cut(current, "="); ok {
			if f := flagOf(node, name); f != nil {
				value, prefix = f.Value, name+"="
				current = strings.TrimPrefix(current, prefix)
			}
		}
	}

	var list []candidate
	switch {
	case value != nil:
		list = c.values(value)
	case strings.HasPrefix(current, "-"):
		list = flagsOf(node)
	default:
		for _, child := range node.Children {
			if !child.Hidden && arguments == 0 {
				list = append(list, candidate{child.Name, child.Help})
			}
		}
		of := node
		if node.DefaultCmd != nil { // hosts is hosts list
			of = node.DefaultCmd
		}
		if n := len(of.Positional); n > 0 {
			list = append(list, c.values(of.Positional[min(arguments, n-1)])...)
		}
	}
	printed := 0
	for _, found := range list {
		if found.word != filesWanted && !strings.HasPrefix(found.word, current) || printed == maxCandidates {
			continue
		}
		printed++
		line := prefix + clean(found.word) // a name may hold anything
		if found.word == filesWanted {
			line = found.word
		}
		if found.help != "" {
			line += "\t" + found.help
		}
		fmt.Fprintln(w, line)
	}
}

// walk goes along the words before the current one: to the command, to the flag that
// wants a value, and past how many arguments.
func (c *completer) walk(words []string) (node *kong.Node, value *kong.Value, arguments int) {
	node = c.parser.Model.Node
	for i := 0; i < len(words); i++ {
		word := words[i]
		if strings.HasPrefix(word, "-") && word != "-" {
			name, text, given := strings.Cut(word, "=")
			f := flagOf(node, name)
			if f == nil || f.IsBool() {
				continue
			}
			if !given {
				if i++; i < len(words) && words[i] == "=" { // bash divides there
					i++
				}
				if i >= len(words) {
					return node, f.Value, arguments
				}
				text = words[i]
			}
			if strings.HasPrefix(f.Name, "nats-") || f.Name == "config" {
				c.flags = append(c.flags, "--"+f.Name+"="+text)
			}
			continue
		}
		child := slices.IndexFunc(node.Children, func(n *kong.Node) bool { return n.Name == word })
		if child >= 0 {
			node = node.Children[child]
		} else {
			arguments++
		}
	}
	return node, nil, arguments
}

// flagOf returns the flag of a command, or of one above it, that is written like this.
func flagOf(node *kong.Node, written string) *kong.Flag {
	for ; node != nil; node = node.Parent {
		for _, f := range node.Flags {
			if written == "--"+f.Name || f.Short != 0 && written == "-"+string(f.Short) {
				return f
			}
		}
	}
	return nil
}

func flagsOf(node *kong.Node) (list []candidate) {
	for ; node != nil; node = node.Parent {
		for _, f := range node.Flags {
			if !f.Hidden {
				list = append(list, candidate{"--" + f.Name, f.Help})
			}
		}
	}
	return list
}

// values are what may stand for a flag or an argument.
func (c *completer) values(v *kong.Value) (list []candidate) {
	words := func(names ...string) []candidate {
		for _, name := range names {
			list = append(list, candidate{name, ""})
		}
		return list
	}
	switch {
	case v.Enum != "":
		return words(slices.DeleteFunc(v.EnumSlice(), func(s string) bool { return s == "" })...)
	case v.Flag != nil && v.Flag.PlaceHolder == "FILE", v.Name == "file":
		return words(filesWanted)
	case v.Name == "event":
		return words(append(schema.Families(), schema.Names()...)...)
	}

	if !slices.Contains([]string{"host", "group", "process", "pattern", "rule", "receiver", "id", "alert"}, v.Name) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), completeFor)
	defer cancel()
	names := map[string]bool{}
	c.names(ctx, v.Name, func(name string) { names[name] = true })
	delete(names, "")
	return words(slices.Sorted(maps.Keys(names))...)
}

// names asks NATS for what a flag or an argument may name. Whatever goes wrong, there
// is nothing to complete.
func (c *completer) names(ctx context.Context, flag string, add func(string)) {
	if _, err := c.parser.Parse(append(c.flags, "version")); err != nil {
		return
	}
	c.common.findConfig()
	if flag == "receiver" || flag == "rule" {
		if cfg, err := c.common.load(); err == nil {
			for _, r := range cfg.AllReceivers() {
				if flag == "receiver" {
					add(r.Name)
				}
			}
			for _, name := range cfg.RuleNames() {
				if flag == "rule" {
					add(name)
				}
			}
		}
	}
	_ = c.common.with(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		switch flag {
		case "host", "group", "process", "pattern":
			states, err := readBucket(ctx, js, stream.StateBucket, func(s *schema.ProcessRecord) string { return schema.StateKey(s.Host, s.Group, s.Process) })
			if err != nil {
				return err
			}
			for _, s := range states {
				for _, name := range map[string][]string{"host": {s.Host}, "group": {s.Group}, "process": {s.Process}, "pattern": {s.Host, s.Process}}[flag] {
					add(name)
				}
			}
		case "receiver":
			queues, err := readQueues(ctx, js)
			if err != nil {
				return err
			}
			for _, q := range queues {
				add(q.receiver)
			}
		case "id":
			mutes, err := readMutes(ctx, js)
			if err != nil {
				return err
			}
			for _, m := range mutes {
				add(m.ID)
			}
		case "alert":
			alerts, err := readAlerts(ctx, js)
			if err != nil {
				return err
			}
			for _, a := range alerts {
				add(a.Incident)
			}
		}
		return nil
	})
}

// isCompletion reports whether a script of a shell asks.
func isCompletion(args []string) bool { return len(args) > 0 && args[0] == completeCommand }

// answer prints what may come next.
func (c *completer) answer(args []string) int {
	c.complete(os.Stdout, args[1:])
	return exitDone
}
