package program_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"

	"supernats/schema/program"
)

type flags struct {
	NatsURL  string              `default:"nats://127.0.0.1:4222" help:"Where NATS is."`
	NatsCa   string              `help:"A certificate."`
	LogLevel string              `default:"info" help:"Log level."`
	Show     struct{}            `cmd:"" help:"Show something."`
	Version  program.VersionFlag `env:"-" help:"Print the version."`
}

// run parses arguments and returns what was printed and the exit code, -1 without one.
func run(t *testing.T, into *flags, args ...string) (out string, code int) {
	t.Helper()
	code = -1
	help := func(options kong.HelpOptions, k *kong.Context) error {
		hidden := program.GroupFlags(k, &kong.Group{Key: "c", Title: "Connection:"},
			&kong.Group{Key: "o", Title: "Others:"})
		if err := kong.DefaultHelpPrinter(options, k); err != nil {
			return err
		}
		return program.PrintHidden(k, hidden)
	}
	p, err := program.CommandLine{
		Name: "tool", Description: "Does things.", Help: help, Exit: func(c int) { code = c },
	}.Parser(into)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	p.Stdout = &b
	_, _ = p.Parse(program.HelpArgs(args))
	return b.String(), code
}

func TestParserReadsFlagsAndVariables(t *testing.T) {
	t.Setenv("SUPERNATS_LOG_LEVEL", "debug")
	var f flags
	if out, code := run(t, &f, "show", "--nats-ca", "ca.pem"); out != "" || code != -1 {
		t.Errorf("%q, %d", out, code)
	}
	if f.NatsURL != "nats://127.0.0.1:4222" || f.NatsCa != "ca.pem" || f.LogLevel != "debug" {
		t.Errorf("%+v", f)
	}
	if out, code := run(t, new(flags), "--version"); out != "tool dev\n" || code != program.ExitDone {
		t.Errorf("%q, %d", out, code)
	}
}

// A command line is a command, or has printed all there is, or is wrong.
func TestRead(t *testing.T) {
	for _, c := range []struct {
		name    string
		args    []string
		command string
		code    int
		wrong   bool
	}{
		{name: "a wrong flag", args: []string{"show", "--colour"}, code: program.ExitUsage, wrong: true},
		{name: "no command", code: program.ExitUsage, wrong: true},
		{name: "a command", args: []string{"show"}, command: "show", code: program.ExitDone},
		{name: "the version", args: []string{"--version"}, code: program.ExitDone},
		{name: "help", args: []string{"help", "show"}, code: program.ExitDone},
	} {
		line := program.CommandLine{Name: "tool", Help: func(kong.HelpOptions, *kong.Context) error { return nil }}
		command, code, err := line.Read(new(flags), c.args)
		got := ""
		if command != nil {
			got = command.Command()
		}
		if got != c.command || code != c.code || (err != nil) != c.wrong {
			t.Errorf("%s: %q, %d, %v", c.name, got, code, err)
		}
	}
}

func TestHelp(t *testing.T) {
	const folded = "Connection flags (--nats-url, …, --nats-ca): tool --help"
	out, _ := run(t, new(flags), "help")
	words := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{
		"Connection: --nats-url", "Others:", "(default: nats://127.0.0.1:4222)", "(default: info)", "--nats-ca",
	} {
		if !strings.Contains(words, want) {
			t.Errorf("%q is not in %s", want, out)
		}
	}
	if strings.Contains(out, folded) {
		t.Errorf("the program's own help hides flags: %s", out)
	}

	out, _ = run(t, new(flags), "help", "show")
	if !strings.Contains(out, folded) || strings.Contains(out, "A certificate.") ||
		!strings.Contains(out, "--log-level") {
		t.Errorf("%s", out)
	}
}

func TestHelpArgs(t *testing.T) {
	for _, c := range []struct{ args, want []string }{
		{args: []string{"help"}, want: []string{"--help"}},
		{args: []string{"help", "ps"}, want: []string{"ps", "--help"}},
		{args: []string{"ps", "help"}, want: []string{"ps", "help"}},
	} {
		if got := program.HelpArgs(c.args); !slices.Equal(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestNewLogLevel(t *testing.T) {
	for level, want := range map[string]zerolog.Level{
		"debug": zerolog.DebugLevel, "error": zerolog.ErrorLevel, "loud": zerolog.InfoLevel,
	} {
		if got := program.NewLog(level).GetLevel(); got != want {
			t.Errorf("%s: %v, want %v", level, got, want)
		}
	}
}
