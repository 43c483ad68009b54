// Package chaos looks at the built programs from outside: what people are notified of when
// crashes come by the hundred and the mail server is slow, when the active one of
// several consumers is killed again and again, and whether a back-test says what
// the daemon said; and it measures how fast a crash becomes a mail and how fast a
// stream is read.
//
// Everything is real and in a process of its own: supervisord, the bridge,
// nats-server, `supernats consume`; only the mail server is in the test. Where
// thousands of crashes must have known times, a fleet publishes them into the
// stream as bridges do.
//
// The short forms are tests; the long ones are run by `task storm`, which writes
// results.txt, a section for each.
package chaos

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"supernats/schema/natsconn/natsconntest"
	"supernats/schema/program/programtest"
)

var (
	seed    = flag.Uint64("chaos.seed", 0, "of what is chosen by chance; 0 chooses one")
	results = flag.String("chaos.results", "", "file for the figures")
	built   = flag.String("chaos.bin", "", "directory of supernats, supernats-bridge and nats-server, built already; empty builds them")
)

// bin is where the programs are, built once for all tests.
var bin string

func TestMain(m *testing.M) {
	flag.Parse()
	if *seed == 0 {
		*seed = rand.Uint64N(1_000_000) + 1
	}
	os.Exit(func() int {
		if bin = *built; testing.Short() || bin != "" { // -short skips what needs them
			return m.Run()
		}
		built := func(dir string) { bin = dir }
		return programtest.Main(m, built, append(programtest.Both, programtest.NATSServer)...)
	}())
}

func needPrograms(tb testing.TB) {
	tb.Helper()
	if testing.Short() {
		tb.Skip("-short: needs the programs")
	}
}

// besideOthers lets a test run at the same time as others, unless its figures are wanted.
func besideOthers(t *testing.T) {
	t.Helper()
	needPrograms(t)
	if *results == "" {
		t.Parallel()
	}
}

// chance is a source that gives the same again for the same seed.
func chance(lane uint64) *rand.Rand { return rand.New(rand.NewPCG(*seed, lane)) }

// figures are what a run has measured, in the order in which they are reported.
type figures struct{ lines []string }

func (f *figures) add(name string, value any) {
	switch v := value.(type) {
	case float64:
		value = fmt.Sprintf("%.2f", v)
	case time.Duration:
		value = v.Round(time.Microsecond)
	}
	f.lines = append(f.lines, fmt.Sprintf("%-68s %v", name, value))
}

const sectionMark = "== "

// record logs the figures and puts them into the file of results in place of those
// of an earlier run of the same name.
func (f *figures) record(tb testing.TB, flags string) {
	tb.Helper()
	kind := "-run"
	if strings.HasPrefix(tb.Name(), "Benchmark") {
		kind = "-run '^$' -bench"
	}
	section := sectionMark + tb.Name() + "\n" +
		fmt.Sprintf("go test ./consumer/chaos -count=1 -v -timeout 0 %s '^%s$' -chaos.seed=%d %s\n", kind, tb.Name(), *seed, flags) +
		fmt.Sprintf("%s, %s, %s, supervisord %s, %d processors\n\n", time.Now().UTC().Format(time.DateOnly), runtime.Version(),
			version(tb, bin+"/nats-server"), version(tb, "supervisord"), runtime.NumCPU()) +
		strings.Join(f.lines, "\n") + "\n"
	tb.Logf("\n%s", section)
	if *results == "" {
		return
	}
	old, err := os.ReadFile(*results)
	if err != nil && !os.IsNotExist(err) {
		tb.Error(err)
		return
	}
	if err := os.WriteFile(*results, []byte(replaceSection(string(old), section)), 0o644); err != nil {
		tb.Error(err)
	}
}

// replaceSection returns text with section in place of the one of the same title,
// sections in the order of their titles.
func replaceSection(text, section string) string {
	title := func(s string) string { first, _, _ := strings.Cut(s, "\n"); return first }
	all := []string{strings.TrimPrefix(section, sectionMark)}
	for s := range strings.SplitSeq("\n"+text, "\n"+sectionMark) {
		if s = strings.TrimSpace(s); s != "" && title(s) != title(all[0]) {
			all = append(all, s+"\n")
		}
	}
	slices.Sort(all)
	return sectionMark + strings.Join(all, "\n"+sectionMark)
}

func TestReplaceSection(t *testing.T) {
	text := replaceSection("", "== B\n1\n")
	text = replaceSection(text, "== A\n2\n\n3\n")
	text = replaceSection(text, "== B\n4\n")
	if want := "== A\n2\n\n3\n\n== B\n4\n"; text != want {
		t.Errorf("%q, want %q", text, want)
	}
}

func version(tb testing.TB, program string) string {
	tb.Helper()
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		tb.Error(err)
	}
	return strings.TrimSpace(string(out))
}

// quantile of values, which it sorts.
func quantile(of []float64, q float64) float64 {
	if len(of) == 0 {
		return 0
	}
	slices.Sort(of)
	return of[min(int(q*float64(len(of))), len(of)-1)]
}

func median(of []float64) float64 { return quantile(of, 0.5) }

// storeConfig is a configuration file of nats-server with a store of its own. Its limit is
// set: by itself it is what the disk has room for, which may be less than the streams ask for.
func storeConfig(tb testing.TB) string {
	tb.Helper()
	return natsconntest.File(tb, "nats-server.conf", fmt.Sprintf("jetstream {store_dir: %q, max_file_store: 32GB}\n", tb.TempDir()))
}

// startNATS runs a nats-server in a process of its own for the length of a test and
// returns its URL.
func startNATS(tb testing.TB) string {
	tb.Helper()
	needPrograms(tb)
	ports := tb.TempDir()
	cmd := exec.Command(bin+"/nats-server", "-c", storeConfig(tb), "-a", "127.0.0.1", "-p", "-1",
		"-l", filepath.Join(ports, "log"), "--ports_file_dir", ports)
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var written struct{ Nats []string }
		files, _ := filepath.Glob(ports + "/*.ports")
		if len(files) == 0 {
			continue
		}
		if text, err := os.ReadFile(files[0]); err == nil && json.Unmarshal(text, &written) == nil && len(written.Nats) > 0 {
			return written.Nats[0]
		}
	}
	tb.Fatal("nats-server has named no port for 20 s")
	return ""
}
