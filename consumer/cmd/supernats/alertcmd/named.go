package alertcmd

import (
	"slices"
	"strings"

	"supernats/consumer/wording"
	"supernats/schema"
)

// named returns the alerts that are meant by what somebody typed. The first of these that
// there are:
//
//   - the one with this id, or those with this id without the rule;
//   - those with this name: a rule, a host, GROUP:PROCESS, or several of them as
//     RULE/HOST/GROUP:PROCESS, or the first whole parts of an id, with or without the rule;
//   - those whose ids begin so, with or without the rule.
func named(given string, alerts []*schema.Alert) []*schema.Alert {
	for _, isMeant := range []func(a *schema.Alert) bool{
		func(a *schema.Alert) bool { return a.Incident == given },
		func(a *schema.Alert) bool { return a.Incident == a.Rule+"/"+given },
		func(a *schema.Alert) bool {
			begin := strings.TrimSuffix(given, "/") + "/" // web1, and not web10
			return slices.Contains(namesOf(a), given) || beginsWith(begin, a.Rule, a.Incident)
		},
		func(a *schema.Alert) bool { return beginsWith(given, a.Rule, a.Incident) },
	} {
		var found []*schema.Alert
		for _, a := range alerts {
			if isMeant(a) {
				found = append(found, a)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// beginsWith reports whether an id begins with the given text, with or without its rule.
func beginsWith(given, rule, id string) bool {
	return strings.HasPrefix(id, given) || strings.HasPrefix(strings.TrimPrefix(id, rule+"/"), given)
}

// namesOf are the names by which people may mean an alert. One about a group has its name, and
// the one by which supervisorctl and `supernats alerts` mean all of it: "api" and "api:*".
func namesOf(a *schema.Alert) []string {
	names := []string{a.Rule, a.Host, a.Rule + "/" + a.Host}
	processes := []string{wording.ProcessName(a.Group, a.Process)}
	if a.Group != "" && a.Process == "" {
		processes = append(processes, a.Group+":*")
	}
	for _, p := range processes {
		names = append(names, p, a.Rule+"/"+p, a.Host+"/"+p, a.Rule+"/"+a.Host+"/"+p)
	}
	return names
}
