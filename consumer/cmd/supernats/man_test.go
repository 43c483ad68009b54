package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"supernats/schema/program"
	"supernats/schema/program/programtest"
)

func TestManualPages(t *testing.T) { programtest.CheckManual(t, manual(parserOf(t).Model)) }

func TestMan(t *testing.T) {
	out, errs, code := supernats(t, "man")
	if code != program.ExitDone || errs != "" || !strings.HasPrefix(out, ".Dd ") || !strings.Contains(out, ".Dt SUPERNATS 1\n") {
		t.Errorf("%d %s %s", code, errs, out)
	}

	dir := t.TempDir()
	out, errs, code = supernats(t, "man", "--dir", dir)
	if code != program.ExitDone || errs != "" || !strings.HasPrefix(out, dir+"/supernats.1\n"+dir+"/supernats-consume.1\n") {
		t.Errorf("%d %s %s", code, errs, out)
	}
	if page, err := os.ReadFile(filepath.Join(dir, "supernats-alerts.1")); err != nil || !strings.Contains(string(page), "\n.Ss \"supernats alerts show\"\n") {
		t.Errorf("%v %s", err, page)
	}

	_, errs, code = supernats(t, "man", "--dir", dir+"/none")
	if want := "no such file or directory: create it with mkdir -p\n"; code != program.ExitFailed || !strings.HasSuffix(errs, want) {
		t.Errorf("%d %s", code, errs)
	}
}
