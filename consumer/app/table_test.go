package app

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/schema/stream"
)

type row3 struct{ N int }

func (f *fleet) table() *table[row3] {
	f.Helper()
	t, err := newTable[row3](f.Context(), f.js, stream.StateBucket, zerolog.Nop())
	if err != nil {
		f.Fatal(err)
	}
	return t
}

func get(t *testing.T, table *table[row3], key string) *row3 {
	t.Helper()
	v, err := table.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTable(t *testing.T) {
	f := newFleet(t)
	a := f.table()
	if v := get(t, a, "web1.-.=2D"); v != nil {
		t.Errorf("there is %v", v)
	}
	if err := a.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	// However often a record changes, it is written once.
	for i := range 5 {
		get(t, a, "web1.-.=2D")
		a.Set("web1.-.=2D", &row3{i})
		get(t, a, "web2.a.b")
		a.Set("web2.a.b", &row3{10 * i})
	}
	if v := get(t, f.table(), "web2.a.b"); v != nil {
		t.Errorf("before Flush there is %v", v)
	}
	for range 2 { // the second writes nothing
		if err := a.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	st, err := f.bucket(stream.StateBucket).Status(t.Context())
	if err != nil || st.Values() != 2 {
		t.Errorf("%v writes, %v", st.Values(), err)
	}
	for _, table := range []*table[row3]{a, f.table()} {
		if d := cmp.Diff([]*row3{{4}, {40}}, []*row3{get(t, table, "web1.-.=2D"), get(t, table, "web2.a.b")}); d != "" {
			t.Error(d)
		}
	}
	// What was written is the revision that the next write replaces.
	a.Set("web2.a.b", &row3{41})
	if err := a.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v := get(t, f.table(), "web2.a.b"); v.N != 41 {
		t.Errorf("%v", v)
	}
}

func TestTableConflict(t *testing.T) {
	f := newFleet(t)
	for name, before := range map[string]func(key string){
		"new":     func(string) {},
		"there":   func(key string) { f.put(key, `{"N":1}`) },
		"deleted": func(key string) { f.put(key, `{"N":1}`); f.del(key) },
	} {
		t.Run(name, func(t *testing.T) {
			before(name)
			mine, theirs := f.table(), f.table()
			for _, table := range []*table[row3]{mine, theirs} {
				get(t, table, name)
				get(t, table, "other")
			}
			theirs.Set(name, &row3{100})
			if err := theirs.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			mine.Set(name, &row3{2})
			var api *jetstream.APIError
			if err := mine.Flush(t.Context()); !errors.As(err, &api) || api.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequence || !strings.Contains(err.Error(), name) {
				t.Fatalf("conflict is %v", err)
			}
			// Memory is forgotten: what is read now is theirs, and can be changed.
			if v := get(t, mine, name); v == nil || v.N != 100 {
				t.Errorf("then there is %v", v)
			}
			mine.Set(name, &row3{101})
			if err := mine.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if v := get(t, f.table(), name); v.N != 101 {
				t.Errorf("there is %v", v)
			}
		})
	}
}

func (f *fleet) put(key, value string) {
	f.Helper()
	if _, err := f.bucket(stream.StateBucket).PutString(f.Context(), key, value); err != nil {
		f.Fatal(err)
	}
}

func (f *fleet) del(key string) {
	f.Helper()
	if err := f.bucket(stream.StateBucket).Delete(f.Context(), key); err != nil {
		f.Fatal(err)
	}
}

// What somebody else wrote holds nothing up, and stays in the history.
func TestTableBeginsAMalformedRecordAnew(t *testing.T) {
	f := newFleet(t)
	f.put("web1.a.b", "no JSON")
	table := f.table()
	if v := get(t, table, "web1.a.b"); v != nil {
		t.Errorf("there is %v", v)
	}
	table.Set("web1.a.b", &row3{1})
	if err := table.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v := get(t, f.table(), "web1.a.b"); v == nil || v.N != 1 {
		t.Errorf("there is %v", v)
	}
	old, err := f.bucket(stream.StateBucket).History(t.Context(), "web1.a.b")
	if err != nil || len(old) != 2 || string(old[0].Value()) != "no JSON" {
		t.Errorf("the history is %v (%v)", old, err)
	}
}

func TestTableWithoutItsBucket(t *testing.T) {
	f := newFleet(t)
	if _, err := newTable[row3](t.Context(), f.js, "none", zerolog.Nop()); !errors.Is(err, jetstream.ErrStreamNotFound) || !strings.Contains(err.Error(), "open bucket none") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	a := f.table()
	get(t, a, "a.b.c")
	a.Set("a.b.c", &row3{1})
	cancel()
	if err := a.Flush(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
