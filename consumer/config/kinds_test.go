package config

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"supernats/consumer/config/strict"
	"supernats/consumer/notify"
)

// ofKind is a receiver with the defaults of a kind.
func ofKind(name string) *Receiver {
	r := &Receiver{Name: "x"}
	field := reflect.ValueOf(&r.Kinds).Elem().FieldByIndex(strict.Fields(reflect.TypeFor[Kinds]())[name].Index)
	field.Set(strict.New(field.Type().Elem()))
	return r
}

// A kind that New forgets would be accepted and never get a notification.
func TestEveryKindIsMade(t *testing.T) {
	for _, name := range kindNames() {
		if _, err := ofKind(name).New(notify.Identity{}, zerolog.Nop()); errors.Is(err, errNotMade) {
			t.Errorf("%s: Receiver.New has no case for it", name)
		}
	}
	if _, err := (&Receiver{Name: "x"}).New(notify.Identity{}, zerolog.Nop()); !errors.Is(err, errNotMade) {
		t.Errorf("a receiver without settings: %v", err)
	}
}

// What is for people is limited, so that a storm is few mails; programs take everything.
func TestRateLimitOfEachKind(t *testing.T) {
	forPeople := map[string]bool{
		"mail": true, "slack": true, "teams": true, "discord": true, "telegram": true, "ntfy": true,
		"webhook": false, "alertmanager": false, "pagerduty": false, "exec": false,
	}
	for _, name := range kindNames() {
		want, known := forPeople[name]
		if !known {
			t.Errorf("%s: say here, and in Receiver.Limit, whether people read each of its messages", name)
			continue
		}
		if limit := ofKind(name).Limit(); (limit != nil) != want {
			t.Errorf("%s: the limit is %+v, for people is %v", name, limit, want)
		}
	}
}

// A receiver that nobody can configure is a kind that is forgotten here.
func TestEveryConstructorIsCalled(t *testing.T) {
	maker, err := os.ReadFile("receiver_new.go")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../notify/*/*.go")
	if err != nil {
		t.Fatal(err)
	}

	found := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || strings.HasSuffix(filepath.Dir(file), "test") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "New") || !returnsReceiver(f) {
				continue
			}
			found++
			if call := parsed.Name.Name + "." + f.Name.Name + "("; !strings.Contains(string(maker), call) {
				t.Errorf("%s: nothing in receiver_new.go calls %s…)", file, call)
			}
		}
	}
	if found != len(kindNames()) {
		t.Errorf("%d constructors of receivers for %d kinds", found, len(kindNames()))
	}
}

// returnsReceiver reports whether a result of a function is a receiver, or several.
func returnsReceiver(f *ast.FuncDecl) bool {
	if f.Type.Results == nil {
		return false
	}
	is := false
	ast.Inspect(f.Type.Results, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		is = is || ok && id.Name == "Receiver"
		return true
	})
	return is
}

func TestManualHasEveryKind(t *testing.T) {
	manual, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(manual), "\n## Receivers\n")
	section, _, _ = strings.Cut(section, "\n## ")
	named := map[string]bool{}
	for line := range strings.Lines(section) {
		if kinds, isRow := strings.CutPrefix(line, "| `"); isRow {
			kinds, _, _ = strings.Cut(kinds, " |")
			for kind := range strings.SplitSeq(kinds, ", ") {
				named[strings.Trim(kind, "`")] = true
			}
		}
	}
	for _, name := range kindNames() {
		if !named[name] {
			t.Errorf("%s: no row in the section Receivers of consumer/README.md", name)
		}
	}
}
