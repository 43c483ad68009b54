package look

import (
	"slices"
	"strings"

	"supernats/consumer/fleet"
	"supernats/schema"
)

// Choice is an entry of a menu.
type Choice struct {
	Value, Word string
	Chosen      bool
}

// Words are the values of a menu, and the words for them.
type Words [][2]string

// Has reports whether a menu offers a value.
func (w Words) Has(value string) bool {
	return slices.ContainsFunc(w, func(word [2]string) bool { return word[0] == value })
}

// Choices makes a menu.
func Choices(chosen string, words Words) (list []Choice) {
	for _, w := range words {
		list = append(list, Choice{Value: w[0], Word: w[1], Chosen: w[0] == chosen})
	}
	return list
}

// SortChoices are the orders of lists of the fleet.
func SortChoices(chosen string) []Choice {
	return Choices(chosen, Words{
		{fleet.SortWorst, "worst first"}, {fleet.SortName, "by name"}, {fleet.SortSince, "last change first"},
	})
}

// StateChoices are the states that a list can be narrowed to.
func StateChoices(chosen []string) []Choice {
	return Choices(strings.ToLower(strings.Join(chosen, ",")), Words{
		{"", "any state"},
		{"down", "down"},
		{"fatal", "FATAL"},
		{"backoff", "BACKOFF"},
		{"unknown", "unknown"},
		{"running", "running"},
		{"starting", "STARTING"},
		{"stopping", "STOPPING"},
		{"stopped", "stopped"},
		{"exited", "exited"},
	})
}

// LastsChoices are how long a silence may last.
func LastsChoices(chosen string) []Choice { return lastsChoices(chosen, nil) }

// AckLastsChoices are how long an acknowledgement may hold.
func AckLastsChoices(chosen string) []Choice {
	return lastsChoices(chosen, Words{{"", "until it is over"}})
}

func lastsChoices(chosen string, first Words) []Choice {
	words := append(first, Words{
		{"30m", "30 minutes"},
		{"1h", "1 hour"},
		{"2h", "2 hours"},
		{"4h", "4 hours"},
		{"8h", "8 hours"},
		{"1d", "1 day"},
		{"7d", "7 days"},
	}...)
	if _, err := schema.ParseDuration(chosen); err == nil && !words.Has(chosen) {
		words = append(words, [2]string{chosen, chosen})
	}
	return Choices(chosen, words)
}
