package checkup

import "strings"

// Quote quotes a word for a shell, in a command that a fix names, where that is needed.
func Quote(word string) string {
	isPlain := func(r rune) bool {
		isWord := r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		return isWord || strings.ContainsRune("/._-:=@%+,", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !isPlain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
