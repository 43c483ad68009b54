package spooldir

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// No host's spool lies where `supernats consume` keeps its store, or where another
// host's does.
func TestSpoolNames(t *testing.T) {
	seen := map[string]string{}
	for _, host := range []string{
		"web1", "web1.example.com", "nats", "=6Eats", "=3D6Eats", "a/b", "a=2Fb", "..", ".", "=2E", "进程",
	} {
		name := nameOf(host)
		if other, twice := seen[name]; twice || name == "nats" || name == ".." || strings.ContainsRune(name, '/') {
			t.Errorf("host %q has the directory %q, as has %q", host, name, other)
		}
		seen[name] = host
	}
	if name := nameOf("web1.example.com"); name != "web1.example.com" {
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
	mine := filepath.Join(tmp, temporaryName())

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
	for home, want := range map[string]string{
		"": "", "/": "/.local/state/supernats/web1", "relative": "",
		"/home/ops": "/home/ops/.local/state/supernats/web1",
	} {
		t.Setenv("HOME", home)
		t.Setenv("XDG_STATE_HOME", "")
		dirs := defaultDirs("web1")
		if dirs[0] != "/var/lib/supernats/web1" || want != "" && !slices.Contains(dirs, want) ||
			want == "" && dirs[1] != "/run/supernats/web1" {
			t.Errorf("HOME=%q: %q", home, dirs)
		}
		for _, dir := range dirs {
			if !filepath.IsAbs(dir) || filepath.Base(dir) != "web1" {
				t.Errorf("HOME=%q: %q", home, dir)
			}
		}
	}
}
