package program

import (
	"fmt"
	"os"

	"supernats/schema/program/manpage"
)

// WriteManual prints the manual page of a program, or writes all its pages into a
// directory, if one is named, and prints their files.
func WriteManual(m *manpage.Manual, dir string) error {
	if dir == "" {
		_, err := os.Stdout.WriteString(m.Pages()[0].Text)
		return err
	}
	files, err := m.WriteTo(dir)
	for _, file := range files {
		fmt.Println(file)
	}
	return err
}

// ExitTexts are the exit codes in words, from 0 on.
func ExitTexts() []string {
	return []string{
		ExitDone:   "Done, or ended by a signal that asks for it.",
		ExitFailed: "It failed; standard error says why.",
		ExitUsage:  "The command line or the configuration is wrong: to start again is no help.",
	}
}
