package bridge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"supernats/bridge/spool/queue"
	"supernats/bridge/spooldir"
)

// spoolChoice is where our spool may lie.
func (c Config) spoolChoice() spooldir.Choice { return spooldir.Choice{Host: c.Host, Dir: c.SpoolDir} }

// owner says whose our spool is, where several bridges share a directory.
func (c Config) owner() queue.Owner {
	section := os.Getenv("SUPERVISOR_GROUP_NAME") + ":" + os.Getenv("SUPERVISOR_PROCESS_NAME")
	return queue.Owner{Host: c.Host, Server: c.ServerURL, Section: section, UID: os.Geteuid()}
}

// Spools returns the directories of the spools of the host, of all bridges that share
// one. There is an error if there is none.
func (c Config) Spools() (found []string, err error) {
	if c.Host, err = c.hostName(); err != nil {
		return nil, err
	}

	dirs := c.spoolChoice().All()
	for _, dir := range dirs {
		slots, err := queue.Slots(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
		for _, slot := range slots {
			if host := queue.HostOf(slot); host == "" || host == c.Host || c.SpoolDir != "" {
				found = append(found, slot)
			}
		}
	}

	if len(found) == 0 {
		return nil, fmt.Errorf("there is no spool of host %q in %s: "+
			"want the --host or --spool-dir of a bridge that has run here", c.Host, strings.Join(dirs, ", "))
	}
	return found, nil
}
