package ids

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
)

// Another id is that of the message with a mark, which WithoutAgain removes; nobody can
// foresee it.
func TestOthers(t *testing.T) {
	for _, id := range []string{"web1/abc/1", "web1/abc/1/2", "web1/abc/again/0123", ""} {
		a, b := NewOthers(), NewOthers()
		other := a.Make(id)
		if !strings.HasPrefix(other, id) || len(other) > len(id)+Room || WithoutAgain(other) != id {
			t.Errorf("%q: another id is %q", id, other)
		}
		if other != a.Make(id) {
			t.Errorf("%q: another id is not the same each time", id)
		}
		if other == b.Make(id) {
			t.Errorf("%q: another publisher makes the same id", id)
		}
	}
}

// Ids without the mark are left as they are.
func TestWithoutAgain(t *testing.T) {
	for _, id := range []string{
		"", "/again/", "/again/0123456789abcde", "web1/abc/1", "web1/abc/again/0123456789abcdef0", "web1/abc/again/0123456789ABCDEF",
	} {
		if got := WithoutAgain(id); got != id {
			t.Errorf("%q became %q", id, got)
		}
	}
}

// A message is sent under another id from Use until Done.
func TestOthersInUse(t *testing.T) {
	o := NewOthers()
	o.Use("a")
	if got := o.Get("b"); got != "" {
		t.Errorf("b is sent as %q", got)
	}
	if got := o.Get("a"); got != o.Make("a") {
		t.Errorf("a is sent as %q, want %q", got, o.Make("a"))
	}
	if got := o.Done("a"); got != o.Make("a") {
		t.Errorf("a was stored as %q, want %q", got, o.Make("a"))
	}
	if got := o.Get("a"); got != "" {
		t.Errorf("a is sent as %q after it was stored", got)
	}
}

// A record that is divided otherwise than before gets ids that say so: with the same ids
// its parts would be taken for those of the division before.
func TestDivisions(t *testing.T) {
	parts := func(n int) []*nats.Msg {
		var msgs []*nats.Msg
		for i := range n {
			msgs = append(msgs, &nats.Msg{Header: nats.Header{nats.MsgIdHdr: {fmt.Sprintf("id/%d", i+1)}}})
		}
		return msgs
	}

	d := Divisions{}
	for _, tc := range []struct {
		name  string
		parts int
		want  []string
	}{
		{name: "first time", parts: 2, want: []string{"id/1", "id/2"}},
		{name: "the same", parts: 2, want: []string{"id/1", "id/2"}},
		{name: "more parts", parts: 3, want: []string{"id/1/of/3", "id/2/of/3", "id/3/of/3"}},
	} {
		msgs := parts(tc.parts)
		if first := d.Note(msgs); first != Of("id/1") {
			t.Errorf("%s: the first part is another one", tc.name)
		}
		var got []string
		for _, m := range msgs {
			got = append(got, m.Header.Get(nats.MsgIdHdr))
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: ids (-want +got):\n%s", tc.name, diff)
		}
	}

	// Whole again, it is the same record.
	whole := &nats.Msg{Header: nats.Header{nats.MsgIdHdr: {"id"}}}
	if first := d.Note([]*nats.Msg{whole}); first != Of("id/1") || whole.Header.Get(nats.MsgIdHdr) != "id" {
		t.Errorf("whole: id is %q", whole.Header.Get(nats.MsgIdHdr))
	}
}
