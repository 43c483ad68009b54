package oom

import (
	"bytes"
	"path"
	"slices"
	"strconv"
	"strings"
)

// hierarchy is a mounted hierarchy of cgroups with the memory controller in it, or v2
// without one, where the whole machine is one group.
type hierarchy struct {
	v2 bool
	// root is the cgroup that is mounted, as /proc/PID/cgroup names it; point is where.
	root, point string
	// local is set where memory.events does not count what is below
	// (memory_localevents of v2).
	local bool
	// whole is set if root is the machine's.
	whole bool
}

// hierarchies reads mountinfo, the first mount of several first.
func hierarchies(mountinfo []byte, machine bool) (list []hierarchy) {
	for line := range strings.Lines(string(mountinfo)) {
		before, after, ok := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(kind) < 3 {
			continue
		}

		h := hierarchy{root: unescape(fields[3]), point: unescape(fields[4])}
		h.whole = machine && h.root == "/"
		options := strings.Split(kind[2], ",")
		switch {
		case kind[0] == "cgroup2":
			h.v2, h.local = true, slices.Contains(options, "memory_localevents")
		case kind[0] != "cgroup" || !slices.Contains(options, "memory"):
			continue
		}
		list = append(list, h)
	}
	return list
}

// unescape decodes the octal escapes of mountinfo.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// memoryOf returns the cgroup that counts a process's memory by /proc/PID/cgroup, and
// whether it is one of v2: a hierarchy of v1 with the memory controller goes first,
// since a controller is in one hierarchy only.
func memoryOf(cgroup []byte) (name string, v2, ok bool) {
	for line := range bytes.Lines(cgroup) {
		parts := strings.SplitN(strings.TrimSuffix(string(line), "\n"), ":", 3)
		if len(parts) != 3 || !strings.HasPrefix(parts[2], "/") {
			continue
		}
		if parts[0] == "0" && parts[1] == "" {
			name, v2, ok = parts[2], true, true
		} else if slices.Contains(strings.Split(parts[1], ","), "memory") {
			return parts[2], false, true
		}
	}
	return name, v2, ok
}

// dir returns where a cgroup is found below the mount; ok is false if it is outside of
// what is mounted.
func (h *hierarchy) dir(name string) (dir string, ok bool) {
	rest, ok := strings.CutPrefix(name, h.root)
	switch {
	case !ok:
		return "", false
	case h.root != "/" && rest != "" && rest[0] != '/':
		return "", false // a longer name that begins alike
	case slices.Contains(strings.Split(rest, "/"), ".."):
		return "", false // outside of our namespace of cgroups
	}
	return path.Join(h.point, rest), true
}

func (h *hierarchy) limitFile() string {
	if h.v2 {
		return "memory.max"
	}
	return "memory.limit_in_bytes"
}

func (h *hierarchy) peakFile() string {
	if h.v2 {
		return "memory.peak"
	}
	return "memory.max_usage_in_bytes"
}
