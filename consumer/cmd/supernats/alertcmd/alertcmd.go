// Package alertcmd has the commands about alerts and who is notified of them: alerts, mute,
// mutes, unmute, ack, unack and test-alert.
package alertcmd

import "github.com/alecthomas/kong"

// HelpTexts are the texts that are too long for the tags of this package.
func HelpTexts() kong.Vars {
	return kong.Vars{
		"help_alerts_show": "Show one alert from its first event to its end: " +
			"what happened, who was notified and when, and what people did.",
		"help_alert": "The alert's id, or as much of its beginning as is unique, with or without the rule; " +
			"a mail has it in the header X-Supernats-Alert. Without one, the ids are listed.",
		"help_form": "Output form: table, json, jsonl or md, Markdown for a post-mortem " +
			"(default: table on a terminal, jsonl elsewhere).",
		"help_open_alert": "Its id or the beginning of it, or what tells it from the other open ones: " +
			"its rule, host or GROUP:PROCESS, " +
			"or several of them as RULE/HOST/GROUP:PROCESS.",
		"help_receiver": "Only this receiver (default: all of the configuration file, or all there are).",
	}
}
