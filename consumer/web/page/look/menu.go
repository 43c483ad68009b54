package look

import (
	"strings"

	"supernats/consumer/fleet"
	"supernats/schema"
)

// Choice is an entry of a menu.
type Choice struct {
	Value, Word string
	Chosen      bool
}

// Choices makes a menu of values and words.
func Choices(chosen string, words ...[2]string) (list []Choice) {
	for _, w := range words {
		list = append(list, Choice{Value: w[0], Word: w[1], Chosen: w[0] == chosen})
	}
	return list
}

// SortChoices are the orders of lists of the fleet.
func SortChoices(chosen string) []Choice {
	return Choices(chosen, [2]string{fleet.SortWorst, "worst first"}, [2]string{fleet.SortName, "by name"},
		[2]string{fleet.SortSince, "last change first"})
}

// StateChoices are the states that a list can be narrowed to.
func StateChoices(chosen []string) []Choice {
	return Choices(strings.ToLower(strings.Join(chosen, ",")),
		[2]string{"", "any state"}, [2]string{"down", "down"}, [2]string{"fatal", "FATAL"}, [2]string{
			"backoff",
			"BACKOFF",
		},
		[2]string{"unknown", "unknown"}, [2]string{"running", "running"}, [2]string{"starting", "STARTING"},
		[2]string{"stopping", "STOPPING"}, [2]string{"stopped", "stopped"}, [2]string{"exited", "exited"})
}

// LastsChoices are how long a silence may last.
func LastsChoices(chosen string) []Choice {
	words := [][2]string{
		{"30m", "30 minutes"},
		{"1h", "1 hour"},
		{"2h", "2 hours"},
		{"4h", "4 hours"},
		{"8h", "8 hours"},
		{"1d", "1 day"},
		{"7d", "7 days"},
	}
	if _, err := schema.ParseDuration(chosen); err == nil && !HasChoice(words, chosen) {
		words = append(words, [2]string{chosen, chosen})
	}
	return Choices(chosen, words...)
}

// HasChoice reports whether a menu offers a value.
func HasChoice(words [][2]string, value string) bool {
	for _, w := range words {
		if w[0] == value {
			return true
		}
	}
	return false
}
