// Package programtest builds programs for the tests that run them.
package programtest

import (
	"os"
	"os/exec"
	"testing"
)

// Both are the packages of the programs supernats-bridge and supernats.
var Both = []string{"supernats/bridge/cmd/...", "supernats/consumer/cmd/..."}

// NATSServer is the package of the nats-server of this module's requirements.
const NATSServer = "github.com/nats-io/nats-server/v2"

// Main builds programs, once for all tests of a package, says where they are, and runs the
// tests. It returns their exit code:
//
//	func TestMain(m *testing.M) {
//		os.Exit(programtest.Main(m, func(dir string) { bin = dir }, programtest.Both...))
//	}
func Main(m *testing.M, built func(dir string), packages ...string) int {
	dir, err := os.MkdirTemp("", "supernats")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	if out, err := command(dir, packages).CombinedOutput(); err != nil {
		panic(string(out))
	}
	built(dir)
	return m.Run()
}

// Build builds programs into a directory, for a test; flags of go build may stand before
// the packages.
func Build(tb testing.TB, dir string, packages ...string) {
	tb.Helper()
	if out, err := command(dir, packages).CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
}

func command(dir string, packages []string) *exec.Cmd {
	return exec.Command("go", append([]string{"build", "-o", dir + "/"}, packages...)...)
}
