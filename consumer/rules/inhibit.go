package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// inhibitions connects the rules with those that hide them.
func (s *Set) inhibitions(set []Config) error {
	byName := map[string]*Rule{}
	for _, r := range s.Rules {
		byName[r.Name] = r
	}
	var errs []error
	wrong := func(path, format string, args ...any) {
		errs = append(errs, &ConfigError{path, fmt.Errorf(format, args...)})
	}
	for i, r := range s.Rules {
		by := set[i].InhibitedBy
		for j, name := range by {
			path := fmt.Sprintf("[%d].%s", i, element("inhibited_by", by, j))
			other := byName[name]
			switch {
			case other == nil:
				wrong(path, "found %q, which is no rule%s", clip(name), suggest(name, keys(byName)))
				continue
			case !other.byHost:
				wrong(path, "found %q, whose alerts are about no single host; add host to its group_by", name)
				continue
			case !r.byHost:
				wrong(path, "found in a rule whose alerts are about no single host; add host to its group_by")
				continue
			}
			if !slices.Contains(r.InhibitedBy, other) {
				r.InhibitedBy = append(r.InhibitedBy, other)
			}
			other.Inhibits = true
		}
	}
	for i, r := range s.Rules {
		if loop := findLoop(r, nil); loop != nil {
			wrong(fmt.Sprintf("[%d].inhibited_by", i), "found a circle: %s", strings.Join(loop, " is inhibited by "))
			break // the others of the circle would say the same
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	for _, r := range s.Rules {
		r.Rank = rankOf(r)
	}
	return nil
}

func keys(m map[string]*Rule) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// findLoop returns the names on a way from the first rule of a path back to it.
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

func rankOf(r *Rule) int {
	rank := 0
	for _, by := range r.InhibitedBy {
		rank = max(rank, rankOf(by)+1)
	}
	return rank
}
