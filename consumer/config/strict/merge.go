package strict

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// pair is a key of a mapping and its value.
type pair struct {
	key   ast.MapKeyNode
	value ast.Node
	// by is the merge key that takes it from another mapping; nil if it is written in
	// the mapping itself.
	by *token.Token
}

// mergedPairs returns the keys of a mapping: its own, then those that it merges (<<) and
// does not have. Of several mappings that are merged the first wins, as YAML's merge
// key asks.
func (d *decoder) mergedPairs(n ast.Node, key string) (list []pair, ok bool) {
	written, ok := pairsOf(n)
	if !ok {
		return nil, false
	}

	seen := map[string]*token.Token{}
	var merged []*ast.MappingValueNode
	for _, p := range written {
		t := p.Key.GetToken()
		if first := seen[t.Value]; first != nil {
			d.file.fail(t, "", "duplicate key %q: already defined at %d:%d",
				Below(key, t.Value), first.Position.Line, first.Position.Column)
			continue
		}
		seen[t.Value] = t
		if p.Key.IsMergeKey() {
			merged = append(merged, p)
			continue
		}
		list = append(list, pair{key: p.Key, value: p.Value})
	}

	// Merged keys come last: those of the mapping itself win, wherever << is written.
	for _, p := range merged {
		for _, m := range d.mergeSources(p.Value, key) {
			name := m.key.GetToken().Value
			if seen[name] != nil {
				continue
			}
			seen[name] = m.key.GetToken()
			m.by = p.Key.GetToken()
			list = append(list, m)
		}
	}
	return list, true
}

// mergeSources returns the keys of the mapping, or of the mappings, that a merge key names.
func (d *decoder) mergeSources(n ast.Node, key string) (list []pair) {
	full := Below(key, "<<")
	value, _ := d.resolveAlias(n, full)
	if value == nil {
		return nil
	}

	sources := []ast.Node{value}
	if s, ok := value.(*ast.SequenceNode); ok {
		sources = s.Values
	}
	for i, source := range sources {
		if len(sources) > 1 || source != value {
			full = fmt.Sprintf("%s[%d]", Below(key, "<<"), i)
		}
		value, _ := d.resolveAlias(source, full)
		if value == nil {
			continue
		}

		own, ok := d.mergedPairs(value, key)
		if !ok {
			d.wrongType(source, full, "a mapping or a list of them: <<: *name, <<: [*one, *other]")
		}
		list = append(list, own...)
	}
	return list
}
