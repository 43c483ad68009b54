// Package alertcmd has the commands about alerts and who is notified of them: alerts, mute,
// mutes, unmute, ack, unack and test-alert.
package alertcmd

import "github.com/alecthomas/kong"

// HelpTexts are the texts that are too long for the tags of this package.
func HelpTexts() kong.Vars {
	return kong.Vars{
		"help_alert": "Its id, or what tells it from the other open ones: its rule, its host or GROUP:PROCESS, " +
			"or several of them as RULE/HOST/GROUP:PROCESS.",
		"help_receiver": "Only this receiver (default: all of the configuration file, or all there are).",
	}
}
