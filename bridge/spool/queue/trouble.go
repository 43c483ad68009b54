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

// reporter reports what is wrong with the spool, each trouble once until its text changes.
type reporter struct {
	q      *Queue
	raised map[string]string // the text of each cause; of the loop alone

	// Guarded by the queue's lock.
	removed time.Time // when a removal of files was last found, and they were restored
	damage  []string  // files that were set aside and are still there
	damaged time.Time // when damage was last found
}

// report raises what is wrong and clears what is over.
func (r *reporter) report() {
	q := r.q
	wrong := r.troubles()
	for cause := range r.raised {
		if _, still := wrong[cause]; !still {
			delete(r.raised, cause)
			q.opt.Clear(cause)
		}
	}
	for cause, t := range wrong {
		if r.raised[cause] != t.text {
			r.raised[cause] = t.text
			q.opt.Raise(cause, t.text, t.fix)
		}
	}
}

type trouble struct{ text, fix string }

// momentFor is how long a trouble that ended at once is reported.
const momentFor = 5 * time.Second

// troubles returns what is wrong, by cause.
func (r *reporter) troubles() map[string]trouble {
	q := r.q
	q.mu.Lock()
	defer q.mu.Unlock()
	wrong := map[string]trouble{}
	dir, err := q.slot.dir, q.diskErr

	memory := "; events go through memory, and are answered when the stream has them, except for ticks and output"
	switch {
	case err == nil:
	case errors.Is(err, spool.ErrDiskFull), files.IsFull(err):
		wrong[CauseDiskFull] = trouble{
			"the file system of the spool has no room for it" + memory,
			"make room: df -h " + dir + "; df -i " + dir,
		}
	case errors.Is(err, files.ErrLocked):
		wrong[CauseLocked] = trouble{
			"the spool cannot be opened: " + err.Error() + memory,
			"stop the other bridge, or give each its own --spool-dir",
		}
	case errors.Is(err, spool.ErrRemoved):
		wrong[CauseRemoved] = trouble{
			"the files of the spool were removed and cannot be restored: " + err.Error() + memory,
			"mkdir -p " + dir,
		}
	default:
		wrong[CauseUnusable] = trouble{
			"the spool cannot be used: " + err.Error() + memory,
			unusableFix(err),
		}
	}

	if !r.removed.IsZero() && time.Since(r.removed) < momentFor && wrong[CauseRemoved].text == "" {
		wrong[CauseRemoved] = trouble{
			"somebody removed the files of the spool in " + dir + "; they were restored, nothing in them is lost",
			"find out who did: ls -la " + dir,
		}
	}

	r.damage = slices.DeleteFunc(r.damage, func(name string) bool {
		_, err := os.Stat(name)
		return errors.Is(err, os.ErrNotExist)
	})
	switch {
	case len(r.damage) == 0 && !r.damaged.IsZero() && time.Since(r.damaged) < momentFor:
		wrong[CauseDamaged] = trouble{
			"records of the spool are missing and lost",
			"find out who removes or cuts files there, and check the disk (dmesg): ls -la " + dir,
		}
	case len(r.damage) > 0:
		wrong[CauseDamaged] = trouble{
			"the spool was damaged and records are lost; the damaged file is kept: " + r.damage[0],
			"check the disk (dmesg), then rm " + r.damage[0],
		}
	}
	return wrong
}

// unusableFix returns what fixes a directory that cannot be used.
func unusableFix(err error) string {
	switch {
	case errors.Is(err, syscall.EROFS):
		return "mount a volume that may be written, and set --spool-dir to a directory on it"
	case errors.Is(err, os.ErrPermission):
		return fmt.Sprintf("chown -R %d the directory, or set --spool-dir to one that uid %d may write to",
			os.Geteuid(), os.Geteuid())
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, os.ErrExist):
		return "remove the file that is in the way, or set --spool-dir"
	}
	return "check the directory and the disk (dmesg), or set --spool-dir"
}

// lost passes on what a spool reports.
func (r *reporter) lost(l spool.Loss) {
	q := r.q
	q.mu.Lock()
	r.damaged = time.Now()
	if l.File != "" && !slices.Contains(r.damage, l.File) && len(r.damage) < maxSlots {
		r.damage = append(r.damage, l.File)
	}
	q.mu.Unlock()
	notify(q.kick)
	q.opt.Spool.Lost(l)
}
