package proctable

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"supernats/schema"
)

// fileName is where a table is kept, beside the spool.
const fileName = "table"

// file is what is kept.
type file struct {
	Boot       string `json:"boot"`
	Pool       string `json:"pool"`
	Serial     uint64 `json:"serial"`
	PoolSerial uint64 `json:"poolserial"`
	Rows       []kept `json:"processes"`
}

type kept struct {
	Group   string `json:"group"`
	Process string `json:"process"`
	row
}

// saveAfter is after how many events a table is kept again that has not changed: the
// next run reads the newest segment of the spool only.
const saveAfter = 1000

// Save keeps the table if it has changed. While a comparison is due what is kept
// stays: it is needed for that, also by the next run. A process that dies in it
// leaves the old file; what is missing in that is in the spool.
func (t *Table) Save(dir string) error {
	t.mu.Lock()
	if t.changes != nil || !t.dirty && t.poolSerial < t.saved+saveAfter {
		t.mu.Unlock()
		return nil
	}

	name := filepath.Join(dir, fileName)
	if !t.known {
		t.dirty = false
		t.mu.Unlock()
		if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("remove the process table that was kept: %w", err)
		}
		return nil
	}

	f := file{Boot: t.boot, Pool: t.pool, Serial: t.serial, PoolSerial: t.poolSerial}
	f.Rows = make([]kept, 0, len(t.rows))
	for k, r := range t.rows {
		f.Rows = append(f.Rows, kept{k.Group, k.Process, r})
	}
	t.dirty, t.saved = false, t.poolSerial
	t.mu.Unlock()

	b, err := json.Marshal(f)
	if err == nil {
		err = os.WriteFile(name+".new", b, 0o640)
	}
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		return fmt.Errorf("keep the process table: %w", err)
	}
	return nil
}

// Load reads what an earlier run has kept, which may be of another life. A file that
// cannot be read is as none.
func (t *Table) Load(dir string) {
	var f file
	b, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil || json.Unmarshal(b, &f) != nil || f.Boot == "" {
		return
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	t.beginBoot(f.Boot)
	t.known, t.placed, t.dirty = true, true, false
	t.pool, t.serial, t.poolSerial, t.saved = f.Pool, f.Serial, f.PoolSerial, f.PoolSerial
	t.rows = make(map[schema.ProcessName]row, len(f.Rows))
	for _, r := range f.Rows {
		t.rows[schema.ProcessName{Group: r.Group, Process: r.Process}] = r.row
	}
}
