package exec

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"supernats/consumer/notify"
	"supernats/consumer/notify/notifytest"
)

// What keeps a script from starting is said in words that help: the system says of
// most of these that there is no such file, or that its format is wrong.
func TestWhyItDoesNotStart(t *testing.T) {
	for name, c := range map[string]struct {
		text, want string
		outage     bool
	}{
		"lines of Windows":         {text: "#!/bin/sh\r\nexit 0\r\n", want: `its interpreter "/bin/sh\r" is not there: its lines end with CR LF, as on Windows; sed -i 's/\r$//' `, outage: true},
		"lines of Windows and env": {text: "#!/usr/bin/env sh\r\nexit 0\r\n", want: `end with CR LF, as on Windows: sed -i 's/\r$//' `, outage: false},
		"no interpreter":           {text: "#! /no/such/shell -e\nexit 0\n", want: `its interpreter "/no/such/shell", which its first line #! names, is not there`, outage: true},
		"no first line":            {text: "exit 0\n", want: "a script needs a first line that names its interpreter, such as #!/bin/sh", outage: true},
		"a byte order mark":        {text: "\xef\xbb\xbf#!/bin/sh\nexit 0\n", want: "there is a byte order mark before its first line", outage: true},
		"an empty line first":      {text: "\n#!/bin/sh\nexit 0\n", want: "there is something before the #! of its first line", outage: true},
		"empty":                    {text: "", want: "the file is empty", outage: true},
		"another machine":          {text: "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 100), want: "it is a program for another kind of machine", outage: true},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "page")
			if err := os.WriteFile(file, []byte(c.text), 0o700); err != nil {
				t.Fatal(err)
			}
			err := receiver(t, Config{Command: []string{file}}).Notify(t.Context(), notifytest.Many(1))
			if err == nil || !strings.Contains(err.Error(), c.want) || notify.IsOutage(err) != c.outage || notify.IsPermanent(err) {
				t.Errorf("outage %t: %v", notify.IsOutage(err), err)
			}
		})
	}

	file := filepath.Join(t.TempDir(), "page")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New("page", Config{Command: []string{file}}.WithDefaults(), id); err == nil || !strings.Contains(err.Error(), "it is not executable: chmod +x "+file) {
		t.Errorf("%v", err)
	}
	if _, err := New("page", Config{Command: []string{filepath.Dir(file)}}.WithDefaults(), id); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("%v", err)
	}
}
