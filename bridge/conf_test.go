package bridge

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/bridge/supervisord/supervisordtest"
)

// argsEnv makes the test binary something else, see init.
const argsEnv = "BRIDGE_TEST_ARGS"

// The test binary is the command of a listener too, and whatever runs under a
// supervisord: see TestConfCommand.
func init() {
	if file := os.Getenv(argsEnv); file != "" {
		os.Exit(writeArgs(file))
	}
}

// writeArgs writes its arguments to a file and waits for its end.
func writeArgs(file string) int {
	b, err := json.Marshal(os.Args[1:])
	if err == nil {
		err = errors.Join(os.WriteFile(file+".new", b, 0o644), os.Rename(file+".new", file))
	}
	if err != nil {
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

func TestWriteConfErrors(t *testing.T) {
	for _, bad := range []string{"a\nb", "a\r", "\n"} {
		var b strings.Builder
		if err := WriteConf(&b, []string{"supernats-bridge", bad}); err == nil || b.Len() > 0 {
			t.Errorf("%q: %v\n%s", bad, err, &b)
		}
	}
	broken := errors.New("disk is full")
	if err := WriteConf(failingWriter{broken}, []string{"x"}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

func TestConfWord(t *testing.T) {
	for word, want := range map[string]string{
		"/usr/bin/supernats-bridge":       `/usr/bin/supernats-bridge`,
		"--nats-url=nats://a:4222,b:4222": `--nats-url=nats://a:4222,b:4222`,
		"":                                `""`,
		"a b":                             `"a b"`,
		`it's "so"`:                       `"it's \"so\""`,
		`C:\x`:                            `"C:\\x"`,
		"100%":                            `100%%`,
		"50 %":                            `"50 %%"`,
		"a ;b":                            `"a "";b"`,
		"#1":                              `"""#1"`,
		"é":                               `é`,
	} {
		if got := confWord(word); got != want {
			t.Errorf("confWord(%q) = %s, want %s", word, got, want)
		}
	}
}

// What supervisord makes of the section are the words that went in.
func TestConfCommand(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	words := []string{
		"--host", "web 1", "", " ", "--x=é ü", `"`, `'`, `\`, `\"`, `it's "so"`, "100%", "%%", "% d", "%(program_name)s", "%(ENV_HOME)s",
		";", " ;", "a;b", "a ; b", "#", "a #b", "$HOME", "`id`", "tab\there", "a\u00a0;b", "~", "*", "{}", "(", "=", "last ",
	}
	var section strings.Builder
	if err := WriteConf(&section, append([]string{self}, words...)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "args.json")
	t.Setenv(argsEnv, file) // for supervisord, which hands it on
	supervisordtest.Start(t, section.String())
	var got []string
	supervisordtest.Wait(t, 20*time.Second, func() bool {
		b, err := os.ReadFile(file)
		return err == nil && json.Unmarshal(b, &got) == nil
	}, "the command's words")
	if diff := cmp.Diff(words, got); diff != "" {
		t.Errorf("words (-want +got):\n%s", diff)
	}
}
