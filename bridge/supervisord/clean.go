package supervisord

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

const replacement = "\uFFFD"

// clean makes XML of what supervisord sends: its logs go into the answer as they
// are (xmlrpc.py xmlrpc_marshal escapes <, > and & only), with the escapes that
// colour a terminal and whatever else a program wrote. What no XML document may
// hold becomes U+FFFD, also where it is written as a character reference. A
// carriage return becomes a reference, since a parser would make a line feed of
// it. added is by how much that makes the text longer than what was sent. The
// result is body itself if nothing is wrong with it.
func clean(body []byte) (_ []byte, added int) {
	var out []byte // of body[:done]
	done := 0
	replace := func(from, to int, by string) {
		out = append(append(out, body[done:from]...), by...)
		done = to
	}

	for i := 0; i < len(body); {
		b := body[i]
		switch {
		case b == '\r':
			replace(i, i+1, "&#13;")
			i++
		case b < 0x20 && b != '\t' && b != '\n':
			replace(i, i+1, replacement)
			added += len(replacement) - 1
			i++
		case b == '&':
			n, ok := reference(body[i:])
			if n > 0 && !ok {
				replace(i, i+n, replacement)
				added += len(replacement) - 1
			}
			i += max(n, 1)
		case b < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(body[i:])
			switch {
			case r == utf8.RuneError && n == 1:
				replace(i, i+1, replacement)
				added += len(replacement) - 1
			case !legal(r):
				replace(i, i+n, replacement)
				added += len(replacement) - n
			}
			i += n
		}
	}

	if out == nil {
		return body, 0
	}
	return append(out, body[done:]...), added
}

// reference returns the length of the numeric character reference that b begins
// with, 0 if there is none, and whether XML allows the character.
func reference(b []byte) (n int, ok bool) {
	const longest = 16 // &#x10FFFF; and some leading zeros
	if !bytes.HasPrefix(b, []byte("&#")) {
		return 0, false
	}
	end := bytes.IndexByte(b[:min(len(b), longest)], ';')
	if end < 0 {
		return 0, false
	}

	digits, base := b[2:end], 10
	if len(digits) > 0 && digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	code, err := strconv.ParseUint(string(digits), base, 32)
	return end + 1, err == nil && code <= utf8.MaxRune && legal(rune(code))
}

// legal reports whether XML 1.0 has the character.
func legal(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' ||
		r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= utf8.MaxRune
}
