package custom

import (
	"errors"
	"testing"
)

func TestTemplateError(t *testing.T) {
	for _, tc := range []struct{ err, want string }{
		{err: "template: text:3: unexpected \"}\" in operand", want: `text: line 3: unexpected "}" in operand`},
		{err: "template: text:3:14: executing \"text\" at <.A>: no field", want: "text: line 3, column 14: <.A>: no field"},
		{err: "html/template:text:2:1: ends in a\nnon-text context", want: "text: line 2, column 1: ends in a non-text context"},
		{err: "something else", want: "text: something else"},
	} {
		if got := templateError("text", errors.New(tc.err), "").Error(); got != tc.want {
			t.Errorf("got %s, want %s", got, tc.want)
		}
	}
}
