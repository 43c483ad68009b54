package main

import (
	"github.com/alecthomas/kong"

	"supernats/schema/program"
	"supernats/schema/program/manpage"
)

type manCmd struct {
	Dir string `env:"-" placeholder:"DIR" help:"Write a page for the program and for each command into this directory."`
}

// manual is what the pages are made of.
func manual(model *kong.Application) *manpage.Manual {
	return &manpage.Manual{
		Model: model,
		Examples: func(node *kong.Node) []string {
			if node == model.Node {
				return examples[""]
			}
			return examples[node.Name]
		},
		Files: [][2]string{
			{"/var/lib/supernats/HOST", "The spool, where events wait until they are published (spool-dir)."},
			{"/etc/supervisor/conf.d/supernats.conf", "The sections that supervisord starts it by."},
			{"/var/log/supervisor/supernats-bridge.log", "Its log."},
		},
		Exits:   program.ExitTexts(),
		SeeAlso: []string{"supernats"},
	}
}
