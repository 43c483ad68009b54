package schema_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// Limits of what a reader has to keep in mind at once. Tests do not count.
const (
	maxPackageLines  = 2000
	maxFileLines     = 400
	maxMethods       = 30 // of one type
	maxFunctionLines = 60
	maxColumns       = 120 // a tab counts 4
	// longFunction is the number of lines from which on a function is set in paragraphs: at
	// most maxUnbroken per cent of such functions have no blank line.
	longFunction = 20
	maxUnbroken  = 5
)

// TestShape holds the code to these limits.
func TestShape(t *testing.T) {
	s := shapeOf(t, "..")
	if s.functions < 1000 {
		t.Fatalf("only %d functions were looked at", s.functions)
	}
	for _, c := range []struct {
		limit   string
		places  []string
		allowed int
	}{
		{limit: fmt.Sprintf("packages above %d lines", maxPackageLines), places: s.packages()},
		{limit: fmt.Sprintf("files above %d lines", maxFileLines), places: s.longFiles},
		{limit: fmt.Sprintf("types with more than %d methods", maxMethods), places: s.types()},
		{limit: fmt.Sprintf("functions above %d lines", maxFunctionLines), places: s.longFunctions},
		{limit: fmt.Sprintf("lines above %d columns", maxColumns), places: s.wideLines},
		{
			limit:   fmt.Sprintf("functions of %d lines and more without a blank line", longFunction),
			places:  s.unbroken,
			allowed: s.long * maxUnbroken / 100,
		},
	} {
		if len(c.places) > c.allowed {
			t.Errorf("%d %s, at most %d are allowed:\n\t%s",
				len(c.places), c.limit, c.allowed, strings.Join(c.places, "\n\t"))
		}
	}
}

// shape is what was found in a tree.
type shape struct {
	lines     map[string]int // of a package, by its folder
	methods   map[string]int // of a type, by its folder and name
	functions int
	long      int // functions of longFunction lines and more

	// Places above a limit.
	longFiles, longFunctions, wideLines, unbroken []string
}

func (s *shape) packages() []string { return above(s.lines, maxPackageLines) }
func (s *shape) types() []string    { return above(s.methods, maxMethods) }

func above(counts map[string]int, limit int) (places []string) {
	for name, n := range counts {
		if n > limit {
			places = append(places, fmt.Sprintf("%s has %d", name, n))
		}
	}
	return places
}

// shapeOf measures the Go files below a folder.
func shapeOf(t *testing.T, root string) *shape {
	t.Helper()
	s := &shape{lines: map[string]int{}, methods: map[string]int{}}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && path != root):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		return s.addFile(path)
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *shape) addFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}

	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	s.lines[filepath.Dir(path)] += len(lines)
	if len(lines) > maxFileLines {
		s.longFiles = append(s.longFiles, fmt.Sprintf("%s has %d", path, len(lines)))
	}
	for i, line := range lines {
		if utf8.RuneCountInString(line)+3*strings.Count(line, "\t") > maxColumns {
			s.wideLines = append(s.wideLines, fmt.Sprintf("%s:%d", path, i+1))
		}
	}

	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
			first := files.Position(f.Pos()).Line
			last := files.Position(f.End()).Line
			s.addFunction(path, f, first, lines[first-1:last])
		}
	}
	return nil
}

// addFunction measures a function from its first line on, without its comment.
func (s *shape) addFunction(path string, f *ast.FuncDecl, first int, lines []string) {
	s.functions++
	if name := receiverOf(f); name != "" {
		s.methods[filepath.Dir(path)+" "+name]++
	}

	place := fmt.Sprintf("%s:%d %s has %d", path, first, f.Name.Name, len(lines))
	if len(lines) > maxFunctionLines {
		s.longFunctions = append(s.longFunctions, place)
	}
	if len(lines) < longFunction {
		return
	}
	s.long++
	for _, line := range lines {
		if strings.TrimSpace(line) == "" {
			return
		}
	}
	s.unbroken = append(s.unbroken, place)
}

// receiverOf returns the name of the type that a method belongs to.
func receiverOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	name := ""
	ast.Inspect(f.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && name == "" {
			name = id.Name
		}
		return name == ""
	})
	return name
}
