package main

import (
	"errors"
	"os"
	"strings"

	"supernats/consumer/config"
)

// configure reads the configuration file. One with mistakes is a finding and no reason to
// look at nothing: how NATS is reached, and where the daemon listens, may be known all the
// same. What can be wrong with the flags is an error.
func (d *doctor) configure(common *common) error {
	d.check = "config"
	cfg, err := common.load()
	if err == nil {
		if d.cfg = cfg; common.found { // nobody has named it
			d.ok("%s: %s", common.Config, cfg.Summary())
		}
		return nil
	}
	var wrong configError
	if !errors.As(err, &wrong) {
		return err
	}

	switch unread := errors.As(err, new(*os.PathError)); {
	case unread && errors.Is(err, os.ErrPermission):
		d.warn("look as a user who may read it: sudo supernats doctor", "cannot look: %v", wrong.error)
	case unread:
		d.fail("name the file that `supernats consume` reads: -c FILE, or SUPERNATS_CONFIG", "%v", wrong.error)
	default:
		for _, m := range mistakes(wrong.error) {
			d.fail("correct it, and see whether it is right: supernats rules check "+quote(wrong.file)+" (`supernats consume` does not start with it; one that runs keeps the configuration that it has)", "%s", m)
		}
	}
	d.cfg, err = common.over(reachable(common.Config))
	return err
}

// reachable is what a configuration file with mistakes says of NATS and of the daemon's
// address, and the defaults where the mistakes are there.
func reachable(file string) config.Config {
	cfg := config.Default()
	written, err := config.LoadConnection(file)
	if err != nil {
		return cfg
	}
	cfg.NATS.Settings, cfg.Embedded = written.NATS.Settings, written.Embedded
	cfg.Listen, cfg.WebConfig = written.Listen, written.WebConfig
	return cfg
}

// mistakes are those of a file, each with the lines that belong to it.
func mistakes(err error) (list []string) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if n := len(list); n > 0 && strings.HasPrefix(line, " ") {
			list[n-1] += "\n" + line
			continue
		}
		list = append(list, line)
	}
	return list
}
