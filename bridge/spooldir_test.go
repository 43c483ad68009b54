package bridge

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"supernats/bridge/spool"
)

// No host's spool lies where `supernats consume` keeps its store, or where another
// host's does.
func TestSpoolNames(t *testing.T) {
	seen := map[string]string{}
	for _, host := range []string{"web1", "web1.example.com", "nats", "=6Eats", "=3D6Eats", "a/b", "a=2Fb", "..", ".", "=2E", "进程"} {
		name := spoolName(host)
		if other, twice := seen[name]; twice || name == "nats" || name == ".." || strings.ContainsRune(name, '/') {
			t.Errorf("host %q has the directory %q, as has %q", host, name, other)
		}
		seen[name] = host
	}
	if name := spoolName("web1.example.com"); name != "web1.example.com" {
		t.Errorf("an ordinary host has the directory %q", name)
	}
}

// The default directory is the first that takes a file. One that belongs to somebody
// else, where everybody may write, is not used.
func TestFindSpool(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Log("as root the first directory takes everything")
	}
	root := t.TempDir()
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tmp := filepath.Join(root, "tmp")
	if err := os.Mkdir(tmp, 0o777); err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(tmp, temporary())

	try := func(dir string) bool { return tryDir(dir) == nil }
	if try(filepath.Join(file, "web1")) {
		t.Error("a file is taken for a directory")
	}
	if !try(filepath.Join(root, "state", "supernats", "web1")) {
		t.Error("a directory that can be made is not used")
	}

	// Somebody was there before us.
	if err := os.Symlink(root, mine); err != nil {
		t.Fatal(err)
	}
	if try(filepath.Join(mine, "web1")) {
		t.Error("a link of somebody's is followed")
	}
	if err := os.Remove(mine); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(mine, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(mine, 0o777); err != nil {
		t.Fatal(err)
	}
	if try(filepath.Join(mine, "web1")) {
		t.Error("a directory that everybody may write to is used")
	}
	if err := os.Remove(mine); err != nil {
		t.Fatal(err)
	}
	if !try(filepath.Join(mine, "web1")) {
		t.Error("a directory of our own is not used")
	}
	if info, err := os.Stat(mine); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info, err)
	}
	if entries, err := os.ReadDir(filepath.Join(mine, "web1")); err != nil || len(entries) > 0 {
		t.Errorf("the attempt leaves %v, %v", entries, err)
	}
}

// Without HOME, or with one of no use, there are directories to be tried.
func TestSpoolDirs(t *testing.T) {
	for home, want := range map[string]string{"": "", "/": "/.local/state/supernats/web1", "relative": "", "/home/ops": "/home/ops/.local/state/supernats/web1"} {
		t.Setenv("HOME", home)
		t.Setenv("XDG_STATE_HOME", "")
		dirs := spoolDirs("web1")
		if dirs[0] != "/var/lib/supernats/web1" || want != "" && !slices.Contains(dirs, want) || want == "" && dirs[1] != "/run/supernats/web1" {
			t.Errorf("HOME=%q: %q", home, dirs)
		}
		for _, dir := range dirs {
			if !filepath.IsAbs(dir) || filepath.Base(dir) != "web1" {
				t.Errorf("HOME=%q: %q", home, dir)
			}
		}
	}
}

// A host that has no spool is said to have none, and none is made.
func TestSpools(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	cfg := Config{Host: "web1", SpoolDir: dir}
	if _, err := cfg.Spools(); err == nil || !strings.Contains(err.Error(), `no spool of host "web1" in `+dir) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it was made")
	}
	var want []string
	for _, section := range []string{"a:a", "b:b"} {
		q, err := spool.OpenQueue(t.Context(), spool.QueueOptions{
			Options: spool.Options{Max: 1 << 20, Sync: -1}, Owner: spool.Owner{Host: "web1", Section: section},
			Find: func() (string, error) { return dir, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		want = append(want, q.Dir())
	}
	if got, err := cfg.Spools(); err != nil || !slices.Equal(want, got) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}
