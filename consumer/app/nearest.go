package app

import "supernats/consumer/rules"

// Nearest returns the one of the known names that was meant, or nothing if it is not
// plain which.
func Nearest(name string, known []string) string { return rules.Nearest(name, known) }

// RuleNames returns the names of the rules that are in force with a configuration.
func (c *Config) RuleNames() []string {
	set := c.Rules
	if set == nil {
		set = rules.Defaults()
	}
	names := make([]string, len(set))
	for i, r := range set {
		names[i] = r.Name
	}
	return names
}
