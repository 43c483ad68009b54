package ownlog

import (
	"context"
	"errors"

	"supernats/schema"
)

// Deaths follows supervisord's log for deaths that were not expected, as they are
// written there: supervisord writes the line before it makes the event, so they are
// known also while events wait in its buffer, or were dropped from it. It is not
// for use by several goroutines.
//
// Lines that a child may have written are not believed.
type Deaths struct {
	file *File
	feed Feed
}

// Death is one line.
type Death struct {
	// Process is its name, without that of its group: the log does not say it.
	Process string
	Exit    *schema.Exit // nil where the log does not say it
}

var errNoLogFile = errors.New("supervisord's log is not a file that can be read")

// FollowDeaths begins at the end of the log. The caller closes it.
func FollowDeaths(ctx context.Context, s Supervisord) (*Deaths, error) {
	at := Find(ctx, s)
	if at.File == nil {
		return nil, errNoLogFile
	}

	d := &Deaths{file: at.File, feed: Feed{Mixed: at.Mixed}}
	if err := d.file.skipToEnd(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Next returns the deaths that were written since the last call.
func (d *Deaths) Next(context.Context) ([]Death, error) {
	var list []Death
	_, err := d.file.Read(func(lines string, _ bool) {
		d.feed.Take(lines, func(l Line) {
			if l.Kind == Exited && !l.Expected && !l.Suspect {
				list = append(list, Death{Process: l.Name, Exit: l.Exit()})
			}
		})
	})
	return list, err
}

// Close closes the log.
func (d *Deaths) Close() { d.file.Close() }
