package exec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	osexec "os/exec"
	"strings"
	"syscall"

	"supernats/consumer/wording"
)

// maxHead is how many bytes of a script are read to find out why it does not start: the
// kernel reads 256 for the line that names the interpreter.
const maxHead = 256

// whyNot says in words why a command cannot be started. The system's own words are the same
// for a file that is missing and for one whose interpreter is.
func whyNot(command string, err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err // which names it a second time
	}

	file, lookup := osexec.LookPath(command)
	if lookup != nil {
		file = command
	}
	info, missing := os.Stat(file)
	if missing != nil {
		return err.Error()
	}

	first := head(file)
	interpreter := interpreterOf(first)
	switch {
	case info.IsDir():
		return "it is a directory"
	case errors.Is(err, syscall.EACCES) && info.Mode()&0o111 == 0:
		return "it is not executable: chmod +x " + file
	case errors.Is(err, syscall.EACCES) && interpreter != "":
		return fmt.Sprintf("%v: this user may not run it or its interpreter %q, or it is on a file system that is "+
			"mounted noexec", err, interpreter)
	case errors.Is(err, syscall.EACCES):
		return err.Error() + ": this user may not run it, or it is on a file system that is mounted noexec"
	case errors.Is(err, syscall.ENOENT) && strings.HasSuffix(interpreter, "\r"):
		return fmt.Sprintf("its interpreter %q is not there: its lines end with CR LF, as on Windows; "+
			"sed -i 's/\\r$//' %s", interpreter, file)
	case errors.Is(err, syscall.ENOENT) && interpreter != "":
		return fmt.Sprintf("its interpreter %q, which its first line #! names, is not there", interpreter)
	case errors.Is(err, syscall.ENOENT):
		return err.Error() +
			": the file is there, and what it needs to be loaded is not (a program for another C library)"
	case errors.Is(err, syscall.ENOEXEC):
		return err.Error() + ": " + whyNoProgram(first)
	}
	return err.Error()
}

// whyNoProgram says why the kernel does not know what a file is.
func whyNoProgram(first []byte) string {
	switch {
	case len(first) == 0:
		return "the file is empty, or cannot be read"
	case bytes.HasPrefix(first, []byte("\x7fELF")):
		return "it is a program for another kind of machine"
	case bytes.HasPrefix(first, []byte("\xef\xbb\xbf")):
		return "there is a byte order mark before its first line, which must begin with #!"
	case bytes.HasPrefix(bytes.TrimLeft(first, " \t\r\n"), []byte("#!")):
		return "there is something before the #! of its first line, or nothing after it"
	}
	return "a script needs a first line that names its interpreter, such as #!/bin/sh"
}

// head is how a file begins.
func head(file string) []byte {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()

	b := make([]byte, maxHead)
	n, _ := io.ReadFull(f, b)
	return b[:n]
}

// interpreterOf is the program that the first line of a script names, "" if it names none.
func interpreterOf(first []byte) string {
	rest, ok := bytes.CutPrefix(first, []byte("#!"))
	if !ok {
		return ""
	}

	line, _, _ := bytes.Cut(rest, []byte("\n"))
	name := strings.TrimLeft(string(line), " \t")
	if i := strings.IndexAny(name, " \t"); i >= 0 {
		name = name[:i]
	}
	return name
}

// notFound is the exit code of a shell, and of env, for a program that is not there.
const notFound = 127

// hint adds to an exit code what the output of a script may not say: `#!/usr/bin/env
// bash` with CR LF looks for a program "bash\r".
func (r *Receiver) hint(code int) string {
	if code != notFound {
		return ""
	}
	file, err := osexec.LookPath(r.cfg.Command[0])
	if err != nil {
		return ""
	}

	line, _, _ := bytes.Cut(head(file), []byte("\n"))
	if bytes.HasPrefix(line, []byte("#!")) && bytes.HasSuffix(line, []byte("\r")) {
		return fmt.Sprintf("; the lines of %s end with CR LF, as on Windows: sed -i 's/\\r$//' %[1]s",
			wording.Clip(file, maxQuote))
	}
	return ""
}
