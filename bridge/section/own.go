// Package section knows the section of supervisord's configuration that runs the bridge:
// what it should be (Write prints it), what it is (Own), and what is wrong with it
// (Checker). The output of programs has a section of its own, which Starter starts when
// there is some.
//
// The configuration is read once for a bridge, and once for each group that an update
// adds. Nobody waits for it for longer than readWait: its file system may not answer.
package section

import (
	"slices"
	"strings"
	"time"

	"supernats/bridge/supervisordconf"
	"supernats/schema"
)

// readWait is how long somebody waits for the configuration, which is read from our start
// on.
const readWait = 20 * time.Millisecond

// Troubles reports what is wrong, and that it is over. Either may be called again.
type Troubles interface {
	Raise(cause, text, fix string)
	Clear(cause string)
}

// Own is our own section of supervisord's configuration, as far as that can be read: what
// is not known is not guessed. The zero value is of one that is not read.
type Own struct {
	done chan struct{} // closed when conf or err is there; nil before Read
	conf *supervisordconf.Configuration
	err  error
}

// Read begins to read the configuration. It may lie on a file system that does not
// answer: nobody waits for it for long. pid is supervisord's, 0 where it is hidden.
func (o *Own) Read(pid func() int) {
	o.done = make(chan struct{})
	go func() {
		defer close(o.done)
		path, err := supervisordconf.Find(pid())
		if err == nil {
			o.conf, err = supervisordconf.Read(path)
		}
		o.err = err
	}()
}

// Done returns a channel that is closed when the configuration is read, or cannot be.
func (o *Own) Done() <-chan struct{} { return o.done }

// Describe returns what the record of a bridge says of the section of a pool; nil if that
// is not known.
func (o *Own) Describe(pool string) *schema.Section {
	if o.done == nil {
		return nil
	}
	select {
	case <-o.done:
	case <-time.After(readWait):
		return nil
	}
	data, _, _ := describeSection(o.conf, pool)
	return data
}

// Sees reports whether the section of a pool is subscribed to an event; true if that is
// not known.
func (o *Own) Sees(pool, event string) bool {
	own := o.Describe(pool)
	return own == nil || slices.ContainsFunc(own.Events, func(name string) bool {
		return schema.Is(event, strings.ToUpper(name))
	})
}

// SeesAllDeaths reports whether the section of a pool is sent each death of a program:
// exits, and those before it counts as started. True if that is not known.
func (o *Own) SeesAllDeaths(pool string) bool {
	return o.Sees(pool, schema.ProcessStateExited) && o.Sees(pool, schema.ProcessStateBackoff)
}
