package doctor

import (
	"context"
	"errors"
	"os"
	"strings"

	"supernats/consumer/wording"
	"supernats/schema/checkup"
)

// checkConfig reports mistakes in the configuration file. They keep nothing else from being
// checked: how NATS is reached, and where the daemon listens, may be known all the same.
func checkConfig(_ context.Context, in *Installation, r *checkup.Report) error {
	file, err := in.Config.File, in.Config.Err
	if err == nil {
		if in.Config.Found {
			r.OK("%s: %s", file, in.Config.Summary)
		}
		return nil
	}

	switch unread := errors.As(err, new(*os.PathError)); {
	case unread && errors.Is(err, os.ErrPermission):
		r.Warn("run this as a user who may read the file: sudo supernats doctor", "cannot check: %v", err)
	case unread:
		r.Fail("name the file that `supernats consume` reads: -c FILE, or SUPERNATS_CONFIG", "%v", err)
	default:
		fix := "correct it, then check it: supernats rules check " + wording.ShellQuote(file) +
			" (`supernats consume` does not start with it; one that runs keeps the configuration that it has)"
		for _, mistake := range splitMistakes(err) {
			r.Fail(fix, "%s", mistake)
		}
	}
	return nil
}

// splitMistakes returns the mistakes in a file, each with the indented lines that belong
// to it.
func splitMistakes(err error) (list []string) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if n := len(list); n > 0 && strings.HasPrefix(line, " ") {
			list[n-1] += "\n" + line
			continue
		}
		list = append(list, line)
	}
	return list
}
