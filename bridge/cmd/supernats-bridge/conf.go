package main

import (
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"supernats/bridge/section"
	"supernats/schema/program"
)

// confCmd prints the sections with the flags that were given to us.
type confCmd struct {
	OneSection    bool   `help:"${help_one_section}"`
	Container     bool   `help:"For a container: the bridge's log goes to supervisord's standard error."`
	StderrLogfile string `placeholder:"FILE" help:"${help_stderr_logfile}"`
}

// confFlags are those of the command conf, sectionFlags those that the second section sets
// itself: neither is passed on.
var (
	confFlags    = []string{"one-section", "container", "stderr-logfile"}
	sectionFlags = []string{"skip", "snapshot-every", "listen", "web-config"}
)

func (c confCmd) print(model *kong.Application, args []string) int {
	self, err := os.Executable()
	if err != nil {
		return usage(err)
	}

	given := splitArgs(model, args)
	command := func(without []string) []string {
		line := []string{self}
		for _, a := range given {
			if !slices.Contains(without, a.flag) {
				line = append(line, a.words...)
			}
		}
		return line
	}
	first := command(confFlags)
	second := command(slices.Concat(confFlags, sectionFlags))

	err = section.Write(os.Stdout, first, second, section.Options{
		OneSection:    c.OneSection,
		StderrLogfile: c.StderrLogfile,
		Container:     c.Container,
	})
	if err != nil {
		return usage(err)
	}
	return program.ExitDone
}

// argument is a flag as it was given, with its value.
type argument struct {
	flag  string
	words []string
}

// splitArgs divides a command line that has been parsed into its flags. It leaves out the
// command "conf".
func splitArgs(model *kong.Application, args []string) []argument {
	withValue := map[string]bool{}
	var add func(n *kong.Node)
	add = func(n *kong.Node) {
		for _, f := range n.Flags {
			withValue[f.Name] = !f.IsBool()
		}
		for _, child := range n.Children {
			add(child)
		}
	}
	add(model.Node)

	var list []argument
	for i := 0; i < len(args); i++ {
		name, isFlag := strings.CutPrefix(args[i], "--")
		if !isFlag {
			continue // the command
		}

		name, _, joined := strings.Cut(name, "=")
		a := argument{name, []string{args[i]}}
		if !joined && withValue[name] && i+1 < len(args) {
			i++
			a.words = append(a.words, args[i])
		}
		list = append(list, a)
	}
	return list
}
