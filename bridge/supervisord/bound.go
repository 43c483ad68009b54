package supervisord

import (
	"bytes"
	"fmt"
)

const (
	// maxDepth is how deep the elements of an answer may be nested: the decoder calls
	// itself for each level. A process table in a multicall has 16 levels.
	maxDepth = 64
	// maxElements is how many elements an answer may have: those of some 16,000
	// processes. Each takes about 100 bytes once it is decoded.
	maxElements = 1 << 20
)

// bound checks that an answer cannot take more memory or stack than an honest one.
// It is stricter than XML: no supervisord sends attributes, comments or a document
// type.
func bound(body []byte) error {
	depth, elements := 0, 0
	for {
		start := bytes.IndexByte(body, '<')
		if start < 0 {
			return nil
		}
		body = body[start+1:]
		end := bytes.IndexByte(body, '>')
		if end < 0 {
			return fmt.Errorf("%w: it ends inside a tag", ErrNotXMLRPC)
		}

		tag := body[:end]
		body = body[end+1:]
		switch {
		case len(tag) == 0 || tag[0] == '!' || tag[0] != '?' && bytes.ContainsAny(tag, `"'<`):
			return fmt.Errorf("%w: it holds <%.40s", ErrNotXMLRPC, tag)
		case tag[0] == '?':
		case tag[0] == '/':
			depth--
		case tag[len(tag)-1] == '/':
			elements++
		default:
			depth++
			elements++
		}
		if depth > maxDepth || elements > maxElements {
			return fmt.Errorf("%w: it has more than %d levels or %d elements", ErrTooLarge, maxDepth, maxElements)
		}
	}
}
