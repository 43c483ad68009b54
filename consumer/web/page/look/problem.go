package look

import "strings"

// Problem is an error that a page explains.
type Problem struct {
	// Status is that of HTTP.
	Status int
	// Text says what is wrong, Fix what to do.
	Text, Fix string
}

func (p *Problem) Error() string { return p.Text }

// Sentence begins a text with a capital and ends it with a full stop.
func Sentence(s string) string {
	if s == "" {
		return ""
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "?") {
		s += "."
	}
	return s
}
