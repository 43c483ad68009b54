package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// connect lets the rules know those that hide them, and ranks them.
func (s *Set) connect(set []Config) error {
	byName := map[string]*Rule{}
	for _, r := range s.Rules {
		byName[r.Name] = r
	}

	var wrong mistakes
	for i, r := range s.Rules {
		if err := r.connect(set[i].InhibitedBy, byName); err != nil {
			wrong.join(below(fmt.Sprintf("[%d]", i), err))
		}
	}
	for i, r := range s.Rules {
		if loop := findLoop(r, nil); loop != nil {
			circle := fmt.Errorf("found a circle: %s", strings.Join(loop, " is inhibited by "))
			wrong.join(below(fmt.Sprintf("[%d]", i), at("inhibited_by", circle)))
			break // the others of the circle would say the same
		}
	}
	if err := wrong.err(); err != nil {
		return err
	}

	for _, r := range s.Rules {
		r.Rank = rankOf(r)
	}
	return nil
}

// connect finds the rules that hide a rule.
func (r *Rule) connect(names List, byName map[string]*Rule) error {
	const noHost = "about no single host; add host to its group_by"
	var wrong mistakes
	for i, name := range names {
		key := element("inhibited_by", names, i)
		other := byName[name]
		switch {
		case other == nil:
			wrong.add(key, "found %q, which is no rule%s", clip(name), suggest(name, keys(byName)))
			continue
		case !other.byHost:
			wrong.add(key, "found %q, whose alerts are %s", name, noHost)
			continue
		case !r.byHost:
			wrong.add(key, "found in a rule whose alerts are %s", noHost)
			continue
		}

		if !slices.Contains(r.InhibitedBy, other) {
			r.InhibitedBy = append(r.InhibitedBy, other)
		}
		other.Inhibits = true
	}
	return wrong.err()
}

func keys(m map[string]*Rule) []string { return slices.Sorted(maps.Keys(m)) }

// findLoop returns the names on a way from the first rule of a path back to it, nil if
// there is none.
func findLoop(r *Rule, path []*Rule) []string {
	if slices.Contains(path, r) {
		if r != path[0] {
			return nil // a circle that r only leads to; it is found from within
		}
		var names []string
		for _, p := range append(path, r) {
			names = append(names, p.Name)
		}
		return names
	}

	path = append(slices.Clone(path), r)
	for _, by := range r.InhibitedBy {
		if loop := findLoop(by, path); loop != nil {
			return loop
		}
	}
	return nil
}

// rankOf is one more than the highest rank of the rules that hide a rule.
func rankOf(r *Rule) int {
	rank := 0
	for _, by := range r.InhibitedBy {
		rank = max(rank, rankOf(by)+1)
	}
	return rank
}
