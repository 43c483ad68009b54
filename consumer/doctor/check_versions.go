package doctor

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"supernats/consumer/wording"
	"supernats/schema"
)

// otherVersions are the bridges that have another version than they should, by that
// version.
type otherVersions map[string]*outdated

// outdated are the bridges of one version.
type outdated struct {
	hosts map[string]bool
	// names are the hosts, with the section where not all bridges of a host differ alike.
	names []string
	// pools are the sections to restart.
	pools map[string]bool
}

// runningBridges are the bridges of a host that run: those that were stopped, or whose
// supervisord has ended, begin again with whatever version is installed by then.
func (h *hostReport) runningBridges(host *schema.HostRecord) (bridges []*schema.HostBridge) {
	lives, _ := h.fleet.Living(host)
	for _, l := range lives {
		for i := range host.Bridges {
			if b := &host.Bridges[i]; b.Boot == l.Boot && b.Stopped == nil {
				bridges = append(bridges, b)
			}
		}
	}
	return bridges
}

// compareVersions notes which bridges of a host have another version. Where none is known
// to run, the host's record says the version.
func (h *hostReport) compareVersions(host *schema.HostRecord, others otherVersions) {
	bridges := h.runningBridges(host)
	if len(bridges) == 0 {
		bridges = []*schema.HostBridge{{Pool: ownPool, Version: host.BridgeVersion}}
	}
	versions, servers := map[string]bool{}, map[string]bool{}
	for _, b := range bridges {
		versions[cmp.Or(b.Version, host.BridgeVersion)] = true
		servers[b.Boot] = true
	}

	for _, b := range bridges {
		v := cmp.Or(b.Version, host.BridgeVersion)
		if v == h.version {
			continue
		}
		name := host.Host
		if len(versions) > 1 {
			name += " (section " + b.Pool
			if len(servers) > 1 {
				name += " of its supervisord " + b.Server
			}
			name += ")"
		}
		others.add(v, host.Host, name, b.Pool)
	}
}

// add notes a bridge of a version.
func (o otherVersions) add(version, host, name, pool string) {
	of := o[version]
	if of == nil {
		of = &outdated{hosts: map[string]bool{}, pools: map[string]bool{}}
		o[version] = of
	}

	of.hosts[host], of.pools[pool] = true, true
	if !slices.Contains(of.names, name) {
		of.names = append(of.names, name)
	}
}

// addVersions reports the bridges that have another version than they should.
func (h *hostReport) addVersions(others otherVersions) {
	for _, v := range slices.Sorted(maps.Keys(others)) {
		of := others[v]
		pools := slices.Sorted(maps.Keys(of.pools))
		for i := range pools {
			pools[i] = wording.ShellQuote(pools[i])
		}
		restart := "supervisorctl restart " + strings.Join(pools, " ")
		fix := "install supernats-bridge " + h.version + " there, then: " + restart
		if isNewer(v, h.version) {
			fix = "upgrade this `supernats`, and `supernats consume`, to " + v
		}
		h.report.Warn(fix,
			"bridge %s, not %s, on %s: %s", cmp.Or(v, "of an unknown version"), h.version,
			wording.Count(len(of.hosts), "host", "hosts"), firstNames(of.names))
	}
}

// isNewer reports whether a version is newer than another one. What is not a release, such
// as a build of a developer, is not.
func isNewer(version, other string) bool {
	a, ok := releaseOf(version)
	b, otherOK := releaseOf(other)
	return ok && otherOK && slices.Compare(a, b) > 0
}

// releaseOf returns the numbers of a version such as v1.2.3.
func releaseOf(version string) (numbers []int, ok bool) {
	for part := range strings.SplitSeq(strings.TrimPrefix(version, "v"), ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil, false
		}
		numbers = append(numbers, n)
	}
	return numbers, true
}
