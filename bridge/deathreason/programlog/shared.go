package programlog

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"supernats/bridge/deathreason/ownlog"
)

// Compare finds the files that are not of one program alone again, after Learn.
func (l *Logs) Compare() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.findShared()
}

// findShared finds the files that are not of one program alone: by their paths, by their
// inodes, and by supervisord's own log and standard descriptors.
func (l *Logs) findShared() {
	clear(l.shared)
	writers := writers{byPath: map[string]procID{}, byFile: map[ownlog.Inode]procID{}, paths: map[ownlog.Inode]string{}}
	for id, p := range l.procs {
		for _, path := range p.paths {
			if path != "" {
				l.compare(path, id, &writers)
			}
		}
	}

	l.withheld = l.withheld[:0]
	ours := os.Getenv("SUPERVISOR_GROUP_NAME")
	for id, p := range l.procs {
		if id.group != ours && !p.listener && (l.shared[p.paths[0]] || l.shared[p.paths[1]]) {
			l.withheld = append(l.withheld, id.process)
		}
	}
	slices.Sort(l.withheld)
}

// writers are who was seen to write into files.
type writers struct {
	byPath map[string]procID
	byFile map[ownlog.Inode]procID
	paths  map[ownlog.Inode]string // the last path that leads to a file
}

// compare compares the path of a process with those that were seen.
func (l *Logs) compare(path string, id procID, seen *writers) {
	if _, fd := ownlog.Resolve(path); fd >= 0 {
		l.shared[path] = true
		return
	}
	if other, ok := seen.byPath[path]; ok && other != id {
		l.shared[path] = true
	}
	seen.byPath[path] = id

	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() {
		return
	}
	file := ownlog.InodeOf(st)
	if other, ok := seen.byFile[file]; file == l.own || ok && other != id {
		l.shared[path] = true
		if before, ok := seen.paths[file]; ok {
			l.shared[before] = true
		}
	}
	seen.byFile[file], seen.paths[file] = id, path
}

// Trouble says whose logs cannot be shown, and what an operator can do; "" if all can.
func (l *Logs) Trouble() (text, fix string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.withheld) == 0 {
		return "", ""
	}

	const some = 3
	names := strings.Join(l.withheld[:min(some, len(l.withheld))], ", ")
	if n := len(l.withheld) - some; n > 0 {
		names += " and " + strconv.Itoa(n) + " more"
	}
	return fmt.Sprintf("the output of %s goes to supervisord's own output, or into a file that others write too: "+
			"their events carry no log", names),
		"give each program a stdout_logfile and a stderr_logfile of its own (AUTO makes one), " +
			"or --log-tail 0 if no logs are wanted"
}
