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
		{name: "nothing", err: "is empty"},
		{name: "line ends only", text: "\r\n\n", err: "is empty"},
		{name: "a mark only", text: "\ufeff\n", err: "is empty"},
		{name: "two lines", text: "user\ns3cret\n", err: "holds 2 lines"},
		{name: "two lines of an old Mac", text: "user\rs3cret\r", err: "holds 2 lines"},
		{name: "UTF-16, little endian", text: "\xff\xfes\x00\n\x00", err: "UTF-16"},
		{name: "UTF-16, big endian", text: "\xfe\xff\x00s\x00\n", err: "UTF-16"},
		{name: "UTF-16 without a mark", text: "s\x00e\x00", err: "no text"},
		{name: "Latin-1", text: "gr\xfc\xdfe\n", err: "no text"},
		{name: "invisible", text: "s3c\u200bret\n", err: "invisible"},
		{name: "a mark within", text: "s3c\ufeffret\n", err: "invisible"},
		{name: "too big", text: strings.Repeat("x", secretfile.MaxSize+1), err: "bigger than"},

		{name: "plain", text: "secret", want: "secret"},
		{name: "line end", text: "secret\n", want: "secret"},
		{name: "CRLF", text: "secret\r\n", want: "secret"},
		{name: "CR", text: "secret\r", want: "secret"},
		{name: "mark", text: "\ufeffsecret\r\n", want: "secret"},
		{name: "blank lines", text: "\n\nsecret\n\n\n", want: "secret"},
		{name: "space after", text: "secret \n", want: "secret"},
		{name: "space before", text: " secret\n", want: "secret"},
		{name: "tab after", text: "secret\t\n", want: "secret"},
		{name: "mark and space", text: "\ufeff secret", want: "secret"},
		{name: "no-break space", text: "\u00a0secret\u00a0\n", want: "secret"},
		{name: "no width", text: "secret\u200b\n", want: "secret"},
		{name: "form feed", text: "secret\f\n", want: "secret"},
		{name: "zero at the end", text: "secret\x00", want: "secret"},
		{name: "space within", text: "correct horse\n", want: "correct horse"},
		{name: "tab within", text: "a\tb\n", want: "a\tb"},
		{name: "umlaut", text: "grüße\n", want: "grüße"},
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
