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
	Evidence Evidence `json:"evidence"`
}

// Save keeps what a boot was found by. A process that dies in it leaves the old
// file.
func Save(dir string, boot ID, e Evidence) error {
	b, err := json.Marshal(kept{hex.EncodeToString(boot[:]), e})
	if err != nil {
		return err
	}
	name := filepath.Join(dir, fileName)
	if old, err := os.ReadFile(name); err == nil && string(old) == string(b) {
		return nil
	}
	if err := os.WriteFile(name+".new", b, 0o640); err != nil {
		return fmt.Errorf("keep the boot: %w", err)
	}
	return os.Rename(name+".new", name)
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
