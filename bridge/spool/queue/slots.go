package queue

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"supernats/bridge/spool"
	"supernats/bridge/spool/files"
)

// A directory holds the spools of several bridges, each in a slot: the directory itself is
// the first one, slot-2, slot-3 … beneath it are the others. The file "owner" in a slot
// says whose it is. A bridge takes
//
//   - the slot of its owner, even if the host has been renamed since. If that is locked it
//     waits for lockPatience, since its predecessor may still publish, unless the slot
//     belongs to another supervisord that is alive;
//   - else one that has no owner, or whose supervisord is dead;
//   - else a new one.
//
// What is in a slot that nobody takes is published by one of the other bridges, see Queue.
const (
	ownerName  = "owner"
	slotPrefix = "slot-"
	maxSlots   = 64
	// lockPatience is how long a predecessor's lock is waited for.
	lockPatience = 2 * time.Second
)

// Owner says whose a slot is.
type Owner struct {
	Host string `json:"host"`
	// Server is the address of supervisord's XML-RPC, Section the listener's group
	// and process.
	Server  string `json:"server"`
	Section string `json:"section"`
	UID     int    `json:"uid"`
}

// slotOwner is what the file holds.
type slotOwner struct {
	Owner
	// N distinguishes the slots of equal owners that live at the same time.
	N int `json:"n"`
	// Life is the supervisord of the last bridge.
	Life life `json:"life"`
}

// life is one life of a process; a zero one is not known.
type life struct {
	Boot      string `json:"boot,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	PID       int    `json:"pid,omitempty"`
	Start     string `json:"start,omitempty"`
}

// lifeOf returns the life of a process of our pid namespace; pid 0 is our parent.
func lifeOf(pid int) life {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	ns, _ := os.Readlink("/proc/self/ns/pid")
	if pid == 0 {
		pid = os.Getppid()
	}
	return life{strings.TrimSpace(string(boot)), ns, pid, startOf(pid)}
}

// startOf returns when a process started, in the kernel's words; empty if that cannot
// be read.
func startOf(pid int) string {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return ""
	}
	// The name, in brackets, may hold anything.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 20 {
		return ""
	}
	return fields[19]
}

// dead reports whether a process is certain to have ended.
func (l life) dead(ours life) bool {
	switch {
	case l.PID == 0:
		return false
	case l.Boot != "" && ours.Boot != "" && l.Boot != ours.Boot:
		return true
	case l.Namespace != ours.Namespace:
		return false
	case errors.Is(syscall.Kill(l.PID, 0), syscall.ESRCH):
		return true
	}
	start := startOf(l.PID)
	return start != "" && l.Start != "" && start != l.Start
}

// slotsOf returns the directories of all slots that there are, the first one first.
func slotsOf(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	slots := []string{dir}
	for n := 2; n <= maxSlots; n++ {
		name := slotPrefix + strconv.Itoa(n)
		if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name && e.IsDir() }) {
			slots = append(slots, filepath.Join(dir, name))
		}
	}
	return slots, nil
}

// Slots returns the slots of a directory that hold anything of a spool.
func Slots(dir string) ([]string, error) {
	slots, err := slotsOf(dir)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slots, func(slot string) bool { return !spool.IsSpool(slot) }), nil
}

// HostOf returns the host of a slot's owner, empty if that is not known.
func HostOf(slot string) string {
	o, _ := readOwner(slot)
	return o.Host
}

// OwnerOf describes the owner of a slot, for people; empty if it is not known.
func OwnerOf(slot string) string {
	o, known := readOwner(slot)
	if !known {
		return ""
	}
	return fmt.Sprintf("host %s, section %s, supervisord %s, uid %d",
		o.Host, o.Section, cmp.Or(o.Server, "without an address"), o.UID)
}

// readOwner returns the owner of a slot; known is false if the slot does not say it.
func readOwner(slot string) (o slotOwner, known bool) {
	b, err := os.ReadFile(filepath.Join(slot, ownerName))
	if err != nil {
		return slotOwner{}, false
	}
	text, sum, _ := strings.Cut(string(b), "\n")
	if sum != ownerSum(text) || json.Unmarshal([]byte(text), &o) != nil {
		return slotOwner{}, false
	}
	return o, true
}

// ownerSum is the second line of the file: a damaged one must not give a spool to
// somebody else.
func ownerSum(text string) string {
	return fmt.Sprintf("%08x\n", crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli)))
}

// writeOwner notes the owner of a slot, in place of what was noted before.
func writeOwner(slot string, o slotOwner) error {
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	b = append(append(b, '\n'), ownerSum(string(b))...)
	name := filepath.Join(slot, ownerName)
	if had, err := os.ReadFile(name); err == nil && string(had) == string(b) {
		return nil
	}
	if err := os.WriteFile(name+".new", b, files.Mode); err != nil {
		return errors.Join(fmt.Errorf("write the owner of a spool: %w", err), os.Remove(name+".new"))
	}
	return os.Rename(name+".new", name)
}

// lockedSlot is one that is ours.
type lockedSlot struct {
	dir   string
	lock  *os.File
	owner slotOwner
}

// instance is a short name that stays the same over restarts: that of a supervisord,
// and a number if another one has the same address.
func (o slotOwner) instance() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", o.Server, o.UID))
	name := hex.EncodeToString(sum[:4])
	if o.N > 1 {
		name += "-" + strconv.Itoa(o.N)
	}
	return name
}

// takeSlot locks a slot of a directory for an owner. waiting is called once if the owner's
// slot is locked.
func takeSlot(
	ctx context.Context, dir string, owner Owner, ours life, waiting func(holder string),
) (lockedSlot, error) {
	if err := os.MkdirAll(dir, files.DirMode); err != nil {
		return lockedSlot{}, fmt.Errorf("make the spool's directory: %w", err)
	}

	var until time.Time
	for {
		s, wait, err := tryOwn(dir, owner, ours)
		if s.lock != nil || err != nil && !errors.Is(err, files.ErrLocked) {
			return s, err
		}
		if !wait || !until.IsZero() && time.Now().After(until) {
			break
		}
		if until.IsZero() {
			until = time.Now().Add(lockPatience)
			waiting(files.Holder(dir))
		}
		select {
		case <-ctx.Done():
			return lockedSlot{}, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return takeFree(dir, owner, ours)
}

// tryOwn locks a slot of the owner, or the first one if it has none; wait says that such a
// slot is locked and may soon be free.
func tryOwn(dir string, owner Owner, ours life) (s lockedSlot, wait bool, err error) {
	slots, err := slotsOf(dir)
	if err != nil {
		return lockedSlot{}, false, err
	}

	for _, name := range candidates(slots, owner, ours) {
		o, known := readOwner(name)
		lock, err := files.TryLock(name)
		if errors.Is(err, files.ErrLocked) {
			other := known && o.Life != ours && o.Life.PID != 0 &&
				o.Life.Namespace == ours.Namespace && !o.Life.dead(ours)
			wait = wait || !other
			continue
		}
		if err != nil {
			return lockedSlot{}, false, err
		}
		return own(slots, name, lock, owner, ours), false, nil
	}
	return lockedSlot{}, wait, files.ErrLocked
}

// candidates returns the slots of the owner, and the first one if it has no owner; those of
// the owner under another host name come last.
func candidates(slots []string, owner Owner, ours life) (names []string) {
	var renamed []string
	for i, name := range slots {
		o, known := readOwner(name)
		before := o.Owner
		before.Host = owner.Host
		switch {
		case known && o.Owner == owner, !known && i == 0:
			names = append(names, name)
		case known && before == owner && (o.Life == ours || o.Life.dead(ours)):
			renamed = append(renamed, name)
		}
	}
	return append(names, renamed...)
}

// takeFree locks a slot that has no owner, or a dead one, or a new slot.
func takeFree(dir string, owner Owner, ours life) (lockedSlot, error) {
	slots, err := slotsOf(dir)
	if err != nil {
		return lockedSlot{}, err
	}
	for _, name := range slots {
		o, known := readOwner(name)
		if known && (o.Host != owner.Host || !o.Life.dead(ours)) {
			continue
		}
		if lock, err := files.TryLock(name); err == nil {
			return own(slots, name, lock, owner, ours), nil
		}
	}

	for n := 2; n <= maxSlots; n++ {
		name := filepath.Join(dir, slotPrefix+strconv.Itoa(n))
		if err := os.Mkdir(name, files.DirMode); errors.Is(err, fs.ErrExist) {
			continue
		} else if err != nil {
			return lockedSlot{}, fmt.Errorf("make a spool's directory: %w", err)
		}
		lock, err := files.TryLock(name)
		if errors.Is(err, files.ErrLocked) {
			continue
		}
		if err != nil {
			return lockedSlot{}, err
		}
		return own(slots, name, lock, owner, ours), nil
	}
	return lockedSlot{}, fmt.Errorf("%w: %s has %d spools, each of them in use", files.ErrLocked, dir, maxSlots)
}

// own notes the owner of a slot that was locked, and its number among those of equal
// owners.
func own(slots []string, name string, lock *os.File, owner Owner, ours life) lockedSlot {
	had, known := readOwner(name)
	o := slotOwner{Owner: owner, N: 1, Life: ours}
	had.Host = owner.Host

	if known && had.Owner == owner {
		o.N = max(1, had.N)
	} else {
		var taken []int
		for _, other := range slots {
			if oo, ok := readOwner(other); ok && other != name && oo.Owner == owner {
				taken = append(taken, max(1, oo.N))
			}
		}
		for slices.Contains(taken, o.N) {
			o.N++
		}
	}

	_ = writeOwner(name, o)
	return lockedSlot{name, lock, o}
}

// abandoned returns the slots of a host, except own, in which something waits and which
// nobody has had open for long enough. since keeps, from call to call, when each was first
// seen free.
func abandoned(dirs []string, host, own string, since map[string]time.Time, now time.Time) (found []string) {
	seen := map[string]bool{}
	ours := lifeOf(0)
	for _, dir := range dirs {
		slots, err := Slots(dir)
		if err != nil {
			continue
		}
		for _, name := range slots {
			o, known := readOwner(name)
			if name == own || known && o.Host != host || !known && name != dir || !spool.MayWait(name) {
				continue
			}

			lock, err := files.TryLock(name)
			if err != nil {
				continue
			}
			_ = lock.Close()
			seen[name] = true
			since[name] = cmp.Or(since[name], now)
			free := now.Sub(since[name])
			if free >= adoptAfter || free >= adoptDead && known && o.Life.dead(ours) {
				found = append(found, name)
			}
		}
	}

	for name := range since {
		if !seen[name] {
			delete(since, name)
		}
	}
	return found
}
