package program

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"supernats/schema/natsconn"
)

// connectionFlag begins the names of the flags of the connection to NATS.
const connectionFlag = "nats-"

// CommandLine is what a program's flags and commands need beside their struct.
type CommandLine struct {
	// Name is that of the program, Description what it is for.
	Name, Description string
	// Help prints the help of a command.
	Help kong.HelpPrinter
	// Vars are the program's own; "version" is added to them.
	Vars kong.Vars
	// Exit, if any, is called after --help and --version have printed; Read sets its own.
	Exit func(code int)
}

// Parser reads command lines into the struct that cli points to. A flag that is not given
// has the value of the variable SUPERNATS_<FLAG>, or its default, which the help shows.
func (c CommandLine) Parser(cli any) (*kong.Kong, error) {
	if c.Exit == nil {
		c.Exit = func(int) {}
	}
	return kong.New(cli,
		kong.Name(c.Name),
		kong.Description(c.Description),
		kong.DefaultEnvars("SUPERNATS"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Help(c.Help),
		kong.ValueFormatter(describeFlag),
		kong.Vars(natsconn.HelpTexts()),
		c.Vars.CloneWith(kong.Vars{"version": c.Name + " " + Version}),
		kong.Exit(c.Exit))
}

// Read reads a command line into the struct that cli points to, and returns the command. There
// is none after --help and --version, which have printed all there is to say: the code is
// the one to exit with.
func (c CommandLine) Read(cli any, args []string) (command *kong.Context, code int, err error) {
	exited := -1
	c.Exit = func(code int) { exited = code }
	parser, err := c.Parser(cli)
	if err != nil {
		return nil, ExitUsage, err
	}

	command, err = parser.Parse(HelpArgs(args))
	switch {
	case exited >= 0:
		return nil, exited, nil
	case err != nil:
		return nil, ExitUsage, err
	}
	return command, ExitDone, nil
}

// HelpArgs returns the arguments with `help ps` written as `ps --help`: git and go have
// the command too.
func HelpArgs(args []string) []string {
	if len(args) > 0 && args[0] == "help" {
		return append(args[1:], "--help")
	}
	return args
}

// GroupFlags puts the flags of every command into two groups, those of the connection and
// the others, and returns the names of the former. In the help of a command, which is
// nil for the program's own, they are hidden: they are many.
func GroupFlags(k *kong.Context, connection, others *kong.Group) (connectionFlags []string) {
	for _, f := range k.Model.Flags {
		if !strings.HasPrefix(f.Name, connectionFlag) {
			f.Group = others
			continue
		}
		f.Group = connection
		f.Hidden = k.Selected() != nil
		connectionFlags = append(connectionFlags, f.Name)
	}
	return connectionFlags
}

// PrintHidden prints where the flags that GroupFlags has hidden are explained.
func PrintHidden(k *kong.Context, flags []string) error {
	if k.Selected() == nil || len(flags) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(k.Stdout, "\nConnection flags (--%s, …, --%s): %s --help\n",
		flags[0], flags[len(flags)-1], k.Model.Name)
	return err
}

// describeFlag adds the default to the help of a flag.
func describeFlag(v *kong.Value) string {
	text := kong.DefaultHelpValueFormatter(v)
	if !v.HasDefault || v.Default == "" || v.IsBool() || strings.Contains(text, "default:") {
		return text
	}
	return strings.TrimSuffix(text, ".") + " (default: " + v.Default + ")."
}
