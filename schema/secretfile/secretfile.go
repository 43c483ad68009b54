// Package secretfile reads files that hold one secret, a password, a token or a
// URL, as people and their tools leave them: with a line end after it or a
// carriage return, with a space from a clipboard, with the byte order mark of an
// editor. What is around the secret is cut off; what cannot be one secret is
// refused with the reason, because a login with it would fail for no reason that
// anybody could see.
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

// Bytes returns what is in a regular file, without a byte order mark: a pipe would
// block for as long as nobody writes, and no time-out reaches there.
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

// Clean returns the secret in the text of a file. Errors are meant to stand after
// the file's name: "is empty".
func Clean(text string) (string, error) {
	if strings.HasPrefix(text, markUTF16LE) || strings.HasPrefix(text, markUTF16BE) {
		return "", errors.New("is written in UTF-16; save it as UTF-8 (in PowerShell: Set-Content -Encoding ascii)")
	}

	s := strings.TrimFunc(strings.TrimPrefix(text, markUTF8), around)

	switch {
	case s == "":
		return "", errors.New("is empty")
	case strings.ContainsAny(s, "\r\n"):
		return "", fmt.Errorf("holds %d lines; want the secret on one line and nothing else", len(strings.FieldsFunc(s, lineEnd)))
	case strings.ContainsRune(s, 0) || !utf8.ValidString(s):
		return "", errors.New("holds bytes that are no text; save it as UTF-8")
	case strings.ContainsFunc(s, unseen):
		return "", errors.New("holds an invisible character within the secret; write it again by hand")
	}
	return s, nil
}

// around are the characters that are cut off at both ends: white space, and what
// clipboards and editors add that nobody sees.
func around(r rune) bool { return unicode.IsSpace(r) || unseen(r) }

func lineEnd(r rune) bool { return r == '\r' || r == '\n' }

// unseen are characters without a width and controls. A tab within a password is
// one that somebody chose.
func unseen(r rune) bool {
	switch r {
	case '\t':
		return false
	case '\u200b', '\u200c', '\u200d', '\u200e', '\u200f', '\u2060', '\ufeff':
		return true
	}
	return unicode.IsControl(r)
}
