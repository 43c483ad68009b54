package ownlog

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
)

var errNoSettings = errors.New("its configuration is not known")

// isLogOf reports whether a file holds what only the log of this supervisord can: that it
// has started us, or itself, or the end of its log as it says it over XML-RPC.
func isLogOf(ctx context.Context, f *os.File, s Supervisord) bool {
	tail := lastOf(f)
	if name := os.Getenv("SUPERVISOR_PROCESS_NAME"); name != "" &&
		strings.Contains(tail, " INFO spawned: '"+name+"' with pid "+strconv.Itoa(os.Getpid())+"\n") {
		return true
	}
	if s.PID > 0 && strings.Contains(tail, " INFO supervisord started with pid "+strconv.Itoa(s.PID)+"\n") {
		return true
	}
	if s.LogEnd == nil {
		return false
	}

	// The file is read again: it may have grown until supervisord answered.
	const enough = 400
	end, ok := s.LogEnd(ctx, enough)
	return ok && len(end) >= enough/2 && strings.Contains(lastOf(f), end)
}

// lastOf returns the last fileTail bytes of a file, without what is not UTF-8.
func lastOf(f *os.File) string {
	st, err := f.Stat()
	if err != nil {
		return ""
	}
	b := make([]byte, min(st.Size(), fileTail))
	n, err := f.ReadAt(b, st.Size()-int64(len(b)))
	if err != nil && !errors.Is(err, io.EOF) {
		return ""
	}
	return string(bytes.ToValidUTF8(b[:n], nil))
}
