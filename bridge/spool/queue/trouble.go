package queue

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"supernats/bridge/spool"
	"supernats/bridge/spool/files"
)

// report raises what is wrong and clears what is over.
func (q *Queue) report() {
	wrong := q.troubles()
	for cause := range q.raised {
		if _, still := wrong[cause]; !still {
			delete(q.raised, cause)
			q.opt.Clear(cause)
		}
	}
	for cause, t := range wrong {
		if q.raised[cause] != t.text {
			q.raised[cause] = t.text
			q.opt.Raise(cause, t.text, t.fix)
		}
	}
}

type trouble struct{ text, fix string }

// momentFor is how long a trouble that was over at once is shown.
const momentFor = 5 * time.Second

// troubles returns what is wrong, by cause.
func (q *Queue) troubles() map[string]trouble {
	q.mu.Lock()
	defer q.mu.Unlock()
	wrong := map[string]trouble{}
	dir, err := q.slot.dir, q.diskErr
	memory := "; events go through memory, and are answered when the stream has them, but for ticks and output"
	switch {
	case err == nil:
	case errors.Is(err, spool.ErrDiskFull), files.IsFull(err):
		wrong[CauseDiskFull] = trouble{
			"the file system of the spool has no room for it" + memory,
			"make room: df -h " + dir + "; df -i " + dir,
		}
	case errors.Is(err, spool.ErrLocked):
		wrong[CauseLocked] = trouble{
			"the spool cannot be opened: " + err.Error() + memory,
			"stop the other bridge, or give each its own --spool-dir",
		}
	case errors.Is(err, spool.ErrRemoved):
		wrong[CauseRemoved] = trouble{
			"the files of the spool were removed and cannot be made again: " + err.Error() + memory,
			"mkdir -p " + dir,
		}
	default:
		wrong[CauseUnusable] = trouble{
			"the spool cannot be used: " + err.Error() + memory,
			unusableFix(err),
		}
	}
	if !q.found.IsZero() && time.Since(q.found) < momentFor && wrong[CauseRemoved].text == "" {
		wrong[CauseRemoved] = trouble{
			"somebody removed the files of the spool in " + dir + "; they were made again, nothing in them is lost",
			"find out who did: ls -la " + dir,
		}
	}
	q.damage = slices.DeleteFunc(q.damage, func(name string) bool {
		_, err := os.Stat(name)
		return errors.Is(err, os.ErrNotExist)
	})
	switch {
	case len(q.damage) == 0 && !q.damaged.IsZero() && time.Since(q.damaged) < momentFor:
		wrong[CauseDamaged] = trouble{
			"records of the spool are missing and lost",
			"find out who removes or cuts files there, and check the disk (dmesg): ls -la " + dir,
		}
	case len(q.damage) > 0:
		wrong[CauseDamaged] = trouble{
			"the spool was damaged and records are lost; the damaged file is kept: " + q.damage[0],
			"check the disk (dmesg), then rm " + q.damage[0],
		}
	}
	return wrong
}

// unusableFix says what to do about a directory that cannot be used.
func unusableFix(err error) string {
	switch {
	case errors.Is(err, syscall.EROFS):
		return "mount a volume that may be written, and set --spool-dir to a directory on it"
	case errors.Is(err, os.ErrPermission):
		return fmt.Sprintf("chown -R %d the directory, or set --spool-dir to one that uid %d may write to", os.Geteuid(), os.Geteuid())
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, os.ErrExist):
		return "remove the file that is in the way, or set --spool-dir"
	}
	return "check the directory and the disk (dmesg), or set --spool-dir"
}
