package boot

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// fileName is where a boot is kept, beside the spool.
const fileName = "identity"

// kept is what the file holds.
type kept struct {
	Boot     string   `json:"boot"`
	Pool     string   `json:"pool"`
	Evidence Evidence `json:"evidence"`
}

// Save keeps what a boot was found by, and when: see ListenedSince. A process that
// dies in it leaves the old file.
func Save(dir, pool string, boot ID, e Evidence) error {
	b, err := json.Marshal(kept{hex.EncodeToString(boot[:]), pool, e})
	if err != nil {
		return err
	}

	name := filepath.Join(dir, fileName)
	if err := os.WriteFile(name+".new", b, 0o640); err != nil {
		return fmt.Errorf("keep the boot: %w", err)
	}
	return os.Rename(name+".new", name)
}

// Known returns what a listener of the same supervisord has kept: in a directory of
// spools each has its own, which may be locked while a predecessor of ours still
// publishes. The past is unknown if there is none. pool is ours, empty if that is not
// known yet.
func Known(dir, pool string, now Evidence) (past Past) {
	names := []string{filepath.Join(dir, fileName)}
	more, _ := filepath.Glob(filepath.Join(dir, "*", fileName)) // fails for a malformed pattern only
	for _, name := range append(names, more...) {
		b, err := os.ReadFile(name)
		var k kept
		if err != nil || json.Unmarshal(b, &k) != nil || relate(&k.Evidence, &now) != same {
			continue
		}
		if id, err := hex.DecodeString(k.Boot); err == nil && len(id) == len(ID{}) {
			past.Known, past.ID, past.Evidence = true, ID(id), &k.Evidence
			past.Listened = past.Listened || k.Pool == pool || pool == ""
		}
	}
	return past
}

// ListenedSince reports whether a listener of the same pool and life has kept
// something in a spool beside, above or beneath ours, after we kept it in ours: it
// could not have ours, and had events that are in no record of it.
func ListenedSince(own, pool string, boot ID) bool {
	mine, err := os.Stat(filepath.Join(own, fileName))
	if err != nil {
		return false
	}

	names := []string{filepath.Join(filepath.Dir(own), fileName)}
	for _, dir := range []string{own, filepath.Dir(own)} {
		more, _ := filepath.Glob(filepath.Join(dir, "*", fileName)) // fails for a malformed pattern only
		names = append(names, more...)
	}

	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil || os.SameFile(info, mine) || !info.ModTime().After(mine.ModTime()) {
			continue
		}
		var k kept
		b, err := os.ReadFile(name)
		if err == nil && json.Unmarshal(b, &k) == nil && k.Boot == hex.EncodeToString(boot[:]) && k.Pool == pool {
			return true
		}
	}
	return false
}

// Load returns the evidence that a boot was found by, nil if that is not kept.
func Load(dir string, boot ID) *Evidence {
	b, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		return nil
	}
	var k kept
	if json.Unmarshal(b, &k) != nil || k.Boot != hex.EncodeToString(boot[:]) {
		return nil // of another life, whose spool was moved here
	}
	return &k.Evidence
}
