package supervisordconf

import (
	"errors"
	"strings"
)

var errCommand = errors.New("command= cannot be divided into words: a quotation mark is not closed")

// Command returns the words of command=, as supervisord divides it.
func (s *Section) Command() ([]string, error) {
	command, err := s.ProcessValue("command", "")
	if err != nil {
		return nil, err
	}
	return splitCommand(command)
}

// splitCommand is Python's shlex.split (process.py get_execv_args).
func splitCommand(command string) (words []string, err error) {
	var (
		word  strings.Builder
		begun bool
		quote byte
	)
	for i := 0; i < len(command); i++ {
		c := command[i]
		switch {
		case quote == 0 && strings.IndexByte(" \t\r\n", c) >= 0:
			if begun {
				words = append(words, word.String())
				word.Reset()
				begun = false
			}
		case quote == 0 && (c == '"' || c == '\''):
			quote, begun = c, true
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && quote != '\'':
			if i++; i == len(command) {
				return nil, errCommand
			}
			if quote == '"' && command[i] != '"' && command[i] != '\\' {
				word.WriteByte('\\')
			}
			word.WriteByte(command[i])
			begun = true
		default:
			word.WriteByte(c)
			begun = true
		}
	}

	if quote != 0 {
		return nil, errCommand
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}
