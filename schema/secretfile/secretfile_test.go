package secretfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"supernats/schema/secretfile"
)

func TestRead(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       string
		err        string
	}{
		{"nothing", "", "", "is empty"},
		{"line ends only", "\r\n\n", "", "is empty"},
		{"a mark only", "\ufeff\n", "", "is empty"},
		{"two lines", "user\ns3cret\n", "", "holds 2 lines"},
		{"two lines of an old Mac", "user\rs3cret\r", "", "holds 2 lines"},
		{"UTF-16, little endian", "\xff\xfes\x00\n\x00", "", "UTF-16"},
		{"UTF-16, big endian", "\xfe\xff\x00s\x00\n", "", "UTF-16"},
		{"UTF-16 without a mark", "s\x00e\x00", "", "no text"},
		{"Latin-1", "gr\xfc\xdfe\n", "", "no text"},
		{"invisible", "s3c\u200bret\n", "", "invisible"},
		{"a mark within", "s3c\ufeffret\n", "", "invisible"},
		{"too big", strings.Repeat("x", secretfile.MaxSize+1), "", "bigger than"},

		{"plain", "secret", "secret", ""},
		{"line end", "secret\n", "secret", ""},
		{"CRLF", "secret\r\n", "secret", ""},
		{"CR", "secret\r", "secret", ""},
		{"mark", "\ufeffsecret\r\n", "secret", ""},
		{"blank lines", "\n\nsecret\n\n\n", "secret", ""},
		{"space after", "secret \n", "secret", ""},
		{"space before", " secret\n", "secret", ""},
		{"tab after", "secret\t\n", "secret", ""},
		{"mark and space", "\ufeff secret", "secret", ""},
		{"no-break space", "\u00a0secret\u00a0\n", "secret", ""},
		{"no width", "secret\u200b\n", "secret", ""},
		{"form feed", "secret\f\n", "secret", ""},
		{"zero at the end", "secret\x00", "secret", ""},
		{"space within", "correct horse\n", "correct horse", ""},
		{"tab within", "a\tb\n", "a\tb", ""},
		{"umlaut", "grüße\n", "grüße", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(name, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := secretfile.Read(name)
			if tc.err == "" {
				if err != nil || got != tc.want {
					t.Errorf("got %q, %v; want %q", got, err, tc.want)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.err) || !strings.Contains(err.Error(), name) {
				t.Errorf("got %q, %v; want an error with %q and the file", got, err, tc.err)
			}
			if err != nil && strings.Contains(err.Error(), "s3c") {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestNoFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{dir, pipe, filepath.Join(dir, "none")} {
		if s, err := secretfile.Read(name); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %q, %v", name, s, err)
		}
	}
}
