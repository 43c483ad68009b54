// Package setupcmd has the commands about an installation: init and doctor.
package setupcmd

import "github.com/alecthomas/kong"

// HelpTexts are the texts that are too long for the tags of this package.
func HelpTexts() kong.Vars {
	return kong.Vars{
		"help_init": "Create the streams and buckets that are missing, as the consumer daemon does too. " +
			"Existing ones keep their limits.",
		"help_supervisord_conf": "Examine this machine's supervisord too, by this configuration " +
			"(default: the usual one, if it has a section of supernats-bridge).",
		"help_replicas": "Replicas of what is created: 3 or 5 in a cluster " +
			"(default: nats.replicas of the configuration file, or 1).",
	}
}
