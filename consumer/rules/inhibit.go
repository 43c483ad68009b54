package rules

import (
	"fmt"
	"slices"
	"strings"
)

// inhibitions connects the rules with those that hide them.
func (s *Set) inhibitions(set []Config) error {
	byName := map[string]*rule{}
	for _, r := range s.rules {
		byName[r.name] = r
	}
	for i, r := range s.rules {
		by := set[i].InhibitedBy
		for j, name := range by {
			path := fmt.Sprintf("[%d].%s", i, element("inhibited_by", by, j))
			other := byName[name]
			switch {
			case other == nil:
				return &ConfigError{path, fmt.Errorf("found %q, which is no rule%s", clip(name), suggest(name, keys(byName)))}
			case !other.byHost:
				return &ConfigError{path, fmt.Errorf("found %q, whose alerts are about no single host; add host to its group_by", name)}
			case !r.byHost:
				return &ConfigError{path, fmt.Errorf("found in a rule whose alerts are about no single host; add host to its group_by")}
			}
			if !slices.Contains(r.inhibitedBy, other) {
				r.inhibitedBy = append(r.inhibitedBy, other)
			}
			other.inhibits = true
		}
	}
	for i, r := range s.rules {
		if loop := findLoop(r, nil); loop != nil {
			return &ConfigError{fmt.Sprintf("[%d].inhibited_by", i), fmt.Errorf("found a circle: %s", strings.Join(loop, " is inhibited by "))}
		}
	}
	for _, r := range s.rules {
		r.rank = rankOf(r)
	}
	return nil
}

func keys(m map[string]*rule) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// findLoop returns the names on a way from the first rule of a path back to it.
func findLoop(r *rule, path []*rule) []string {
	if slices.Contains(path, r) {
		if r != path[0] {
			return nil // a circle that r only leads to; it is found from within
		}
		var names []string
		for _, p := range append(path, r) {
			names = append(names, p.name)
		}
		return names
	}
	path = append(slices.Clone(path), r)
	for _, by := range r.inhibitedBy {
		if loop := findLoop(by, path); loop != nil {
			return loop
		}
	}
	return nil
}

func rankOf(r *rule) int {
	rank := 0
	for _, by := range r.inhibitedBy {
		rank = max(rank, rankOf(by)+1)
	}
	return rank
}
