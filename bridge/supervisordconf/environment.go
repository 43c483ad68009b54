package supervisordconf

import (
	"errors"
	"fmt"
	"strings"
)

// Environment returns the variables of environment= of a section.
func (s *Section) Environment() (map[string]string, error) {
	text, err := s.ProcessValue("environment", "")
	if err != nil {
		return nil, err
	}
	variables, err := parseEnvironment(text)
	if err != nil {
		return nil, fmt.Errorf("read environment= of [%s]: %w", s.Name, err)
	}
	return variables, nil
}

var (
	errQuote = errors.New("a quotation mark is not closed")
	errPairs = errors.New(`want NAME="value",NAME="value", each value with what is no letter, digit ` +
		"or one of _/.+-(): in quotation marks")
)

// parseEnvironment is datatypes.py dict_of_key_value_pairs.
func parseEnvironment(text string) (map[string]string, error) {
	tokens, err := splitTokens(text)
	if err != nil {
		return nil, err
	}

	variables := map[string]string{}
	for i := 0; i < len(tokens); i += 4 {
		if i+2 >= len(tokens) || tokens[i+1] != "=" {
			return nil, errPairs
		}
		variables[tokens[i]] = strings.Trim(tokens[i+2], `'"`)
	}
	return variables, nil
}

// splitTokens is Python's shlex.shlex without posix, with supervisord's word characters: a
// quoted text is a token, or ends the word that it follows.
func splitTokens(text string) (tokens []string, err error) {
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '#':
			end := strings.IndexByte(text[i:], '\n')
			if end < 0 {
				return tokens, nil
			}
			i += end
		case strings.IndexByte(" \t\r\n", c) >= 0:
			i++
		case c == '"' || c == '\'':
			end := strings.IndexByte(text[i+1:], c)
			if end < 0 {
				return nil, errQuote
			}
			tokens = append(tokens, text[i:i+end+2])
			i += end + 2
		case isWord(c):
			end := i + 1
			for end < len(text) && (isWord(text[end]) || text[end] == '"' || text[end] == '\'') {
				end++
			}
			tokens = append(tokens, text[i:end])
			i = end
		default:
			tokens = append(tokens, text[i:i+1])
			i++
		}
	}
	return tokens, nil
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_/.+-():", c) >= 0
}
