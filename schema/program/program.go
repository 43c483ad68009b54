// Package program is what the main packages of supernats-bridge and supernats share:
// version, exit codes, logging and how the command line is read. Only they import it.
package program

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"
	"golang.org/x/term"
)

// Version is that of the build; the linker sets it.
var Version = "dev"

// Exit codes.
const (
	ExitDone   = 0
	ExitFailed = 1
	// ExitUsage is for a wrong command line or configuration: to start again is no help.
	ExitUsage = 2
)

// VersionFlag is the flag that prints the version, and ends the program.
type VersionFlag bool

// BeforeReset implements kong's hook, which is called as soon as the flag was read.
func (VersionFlag) BeforeReset(app *kong.Kong, vars kong.Vars) error {
	if _, err := fmt.Fprintln(app.Stdout, vars["version"]); err != nil {
		return err
	}
	app.Exit(ExitDone)
	return nil
}

// IsBool says to kong that the flag has no value.
func (VersionFlag) IsBool() bool { return true }

// NewLog returns a log to standard error of what has a level ("info") and above, see NewLogTo.
func NewLog(level string) zerolog.Logger { return NewLogTo(os.Stderr, level) }

// NewLogTo returns a log that is written to what leads to standard error: lines for people
// on a terminal, JSON elsewhere. An unknown level stands for info.
func NewLogTo(w io.Writer, level string) zerolog.Logger {
	least, err := zerolog.ParseLevel(level)
	if err != nil {
		least = zerolog.InfoLevel
	}

	log := zerolog.New(w)
	if term.IsTerminal(int(os.Stderr.Fd())) {
		log = zerolog.New(zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly})
	}
	return log.Level(least).With().Timestamp().Logger()
}

// LogLibraries sends to a log what libraries log with the package log or log/slog.
func LogLibraries(log zerolog.Logger) {
	slog.SetDefault(slog.New(zerolog.NewSlogHandler(log)))
}
