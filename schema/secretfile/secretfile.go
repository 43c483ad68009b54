// Package secretfile holds secrets, and reads files that hold one: a password, a token or a
// URL, as people and their tools leave it, with a line end or a carriage return after it,
// a space from a clipboard, the byte order mark of an editor. What is around the secret is
// cut off. A file that cannot hold one secret is refused with the reason, because a login
// with it would fail for no visible reason.
package secretfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxSize is the size of the biggest file, in bytes.
const MaxSize = 1 << 20

// Marks with which editors begin a file.
const (
	markUTF8    = "\xef\xbb\xbf"
	markUTF16LE = "\xff\xfe"
	markUTF16BE = "\xfe\xff"
)

// Read returns the secret in a file. Errors name the file, never what is in it.
func Read(name string) (string, error) {
	b, err := Bytes(name)
	if err != nil {
		return "", err
	}

	s, err := Clean(string(b))
	if err != nil {
		return "", fmt.Errorf("%s %w", name, err)
	}
	return s, nil
}

// Bytes returns the content of a regular file without a byte order mark. A pipe is refused:
// it blocks as long as nobody writes, and no timeout ends that.
func Bytes(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", name)
	}

	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()

	b, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) > MaxSize:
		return nil, fmt.Errorf("%s is bigger than %d bytes", name, MaxSize)
	}
	return bytes.TrimPrefix(b, []byte(markUTF8)), nil
}

// Clean returns the secret in the text of a file. Errors stand after the name of the file:
// "is empty".
func Clean(text string) (string, error) {
	if strings.HasPrefix(text, markUTF16LE) || strings.HasPrefix(text, markUTF16BE) {
		return "", errors.New("is written in UTF-16; save it as UTF-8 (in PowerShell: Set-Content -Encoding ascii)")
	}

	s := strings.TrimFunc(strings.TrimPrefix(text, markUTF8), isAround)

	switch {
	case s == "":
		return "", errors.New("is empty")
	case strings.ContainsAny(s, "\r\n"):
		lines := len(strings.FieldsFunc(s, isLineEnd))
		return "", fmt.Errorf("holds %d lines; want the secret on one line and nothing else", lines)
	case strings.ContainsRune(s, 0) || !utf8.ValidString(s):
		return "", errors.New("holds bytes that are no text; save it as UTF-8")
	case strings.ContainsFunc(s, isUnseen):
		return "", errors.New("holds an invisible character within the secret; write it again by hand")
	}
	return s, nil
}

// isAround reports whether a character is cut off at both ends: white space, and what
// clipboards and editors add that nobody sees.
func isAround(r rune) bool { return unicode.IsSpace(r) || isUnseen(r) }

func isLineEnd(r rune) bool { return r == '\r' || r == '\n' }

// isUnseen reports whether a character is a control or has no width. A tab is neither:
// somebody has chosen the one in a password.
func isUnseen(r rune) bool {
	switch r {
	case '\t':
		return false
	case '\u200b', '\u200c', '\u200d', '\u200e', '\u200f', '\u2060', '\ufeff':
		return true
	}
	return unicode.IsControl(r)
}
