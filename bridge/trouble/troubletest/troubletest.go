// Package troubletest stands in for the board of troubles.
package troubletest

// Lasting are the causes of the troubles that last.
type Lasting map[string]bool

// Raise notes a trouble that begins.
func (l Lasting) Raise(cause, _, _ string) { l[cause] = true }

// Clear forgets a trouble that is over.
func (l Lasting) Clear(cause string) { delete(l, cause) }
