package eventlistener_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// The test binary is a listener too, see TestTakeStdio.
func TestMain(m *testing.M) {
	if end := os.Getenv(childEnv); end != "" {
		os.Exit(child(end))
	}
	goleak.VerifyTestMain(m)
}
