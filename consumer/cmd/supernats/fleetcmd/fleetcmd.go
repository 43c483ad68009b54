// Package fleetcmd has the commands about processes and hosts: ps and hosts.
package fleetcmd

import (
	"strings"

	"github.com/alecthomas/kong"

	"supernats/schema"
)

// HelpTexts are the texts that are too long for the tags of this package.
func HelpTexts() kong.Vars {
	return kong.Vars{
		"help_hosts": "Show every host: last seen, troubles, clock, versions, processes, lost events.",
		"help_down": "Only processes that should run and do not, or whose state is unknown " +
			"because their host is silent or its supervisord was killed.",
		"help_state": "Only processes in these states, by supervisor's names: " +
			strings.Join(schema.States(), ", ") + "; or DOWN, as --down. UNKNOWN includes those of " +
			"silent hosts. Repeatable, or with commas.",
		"help_watch": "Fill the terminal and follow the states as they change. The worst come first if " +
			"not all fit. Arrows and page keys scroll, q quits.",
	}
}
