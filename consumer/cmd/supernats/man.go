package main

import (
	"github.com/alecthomas/kong"

	"supernats/consumer/cmd/supernats/frame"
	"supernats/schema/program"
	"supernats/schema/program/manpage"
)

type manCmd struct {
	Dir string `env:"-" placeholder:"DIR" help:"Write a page for the program and for each command into this directory."`
}

// Examples are shown below the help.
func (*manCmd) Examples() []string {
	return []string{
		"supernats man --dir /usr/local/share/man/man1",
		"supernats man > supernats.1",
	}
}

// Run prints the page of the program, or writes all pages.
func (m *manCmd) Run(k *kong.Context) error {
	return program.WriteManual(manual(k.Model), m.Dir)
}

// manual is what the pages are made of.
func manual(model *kong.Application) *manpage.Manual {
	return &manpage.Manual{
		Model: model,
		Examples: func(node *kong.Node) []string {
			if node == model.Node {
				return []string{
					"supernats consume -c " + frame.SystemConfig,
					"supernats ps --down",
					"supernats alerts --since 1d",
					"supernats doctor",
				}
			}
			return examplesOf(node)
		},
		Files: [][2]string{
			{frame.SystemConfig, "The configuration, if no other file is named."},
			{"/var/lib/supernats", "What the embedded NATS server stores (data_dir)."},
		},
		Exits:   program.ExitTexts(),
		SeeAlso: []string{"supernats-bridge"},
	}
}
