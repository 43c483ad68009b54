package bridge

import (
	"fmt"
	"time"

	"supernats/schema"
)

// SyncPolicy is how often the spool is flushed to the platter: a duration,
// "always" or "never".
type SyncPolicy struct{ every time.Duration }

const (
	syncAlways = "always"
	syncNever  = "never"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *SyncPolicy) UnmarshalText(b []byte) error {
	switch s := string(b); s {
	case syncAlways:
		p.every = 0
	case syncNever:
		p.every = -1
	default:
		d, err := schema.ParseDuration(s)
		if err != nil || d == 0 {
			return fmt.Errorf("invalid value %q: want a duration above zero, %q or %q", s, syncAlways, syncNever)
		}
		p.every = time.Duration(d)
	}
	return nil
}

func (p SyncPolicy) String() string {
	switch {
	case p.every == 0:
		return syncAlways
	case p.every < 0:
		return syncNever
	}
	return schema.Duration(p.every).String()
}
