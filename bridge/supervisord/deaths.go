package supervisord

import (
	"context"
	"errors"
	"time"

	"supernats/schema"
)

// Deaths follows supervisord's log for deaths that were not expected, as they are
// written there: supervisord writes the line before it makes the event, so they are
// known also while events wait in its buffer, or were dropped from it. It is not
// for use by several goroutines.
//
// Lines that a child may have written are not believed.
type Deaths struct {
	file *logFile
	feed feed
}

// Death is one line.
type Death struct {
	// Process is its name, without that of its group: the log does not say it.
	Process string
	Exit    *schema.Exit // nil where the log does not say it
}

var errNoLogFile = errors.New("supervisord's log is no file that can be read")

// FollowDeaths begins at the end of the log. pid is supervisord's; client may be nil.
// The caller closes it.
func FollowDeaths(ctx context.Context, pid int, client *Client) (*Deaths, error) {
	at := locate(ctx, pid, client)
	if at.file == nil {
		return nil, errNoLogFile
	}
	d := &Deaths{file: at.file, feed: feed{mixed: at.mixed}}
	size, err := d.file.size()
	if err == nil {
		err = d.file.begin(size)
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	d.file.placed, d.file.gap = true, false
	return d, nil
}

// Next returns the deaths that were written since the last call.
func (d *Deaths) Next(ctx context.Context) ([]Death, error) {
	var list []Death
	_, err := d.file.read(ctx, time.Time{}, func(lines string, _ bool) {
		d.feed.take(lines, func(l line) {
			if l.kind == lineExited && !l.expected && !l.suspect {
				list = append(list, Death{Process: l.name, Exit: l.exit()})
			}
		})
	})
	return list, err
}

// Close closes the log.
func (d *Deaths) Close() { d.file.close() }
