package schema

import "supernats/schema/internal/units"

// Exit is why a process died: a Code or a Signal. SpawnErr is why it never started.
type Exit struct {
	Code *int `json:"code,omitempty"`
	// Signal is a name, SIGKILL.
	Signal string `json:"signal,omitempty"`
	Core   bool   `json:"core,omitempty"`
	// SpawnErr is supervisord's own text.
	SpawnErr string `json:"spawnerr,omitempty"`
	// Source is where the reason was found: ExitFromKernel or ExitFromLog.
	Source string `json:"source,omitempty"`
	// OOM is set if the kernel killed the process because memory ran out.
	OOM *OOM `json:"oom,omitempty"`
}

// Sources of exit reasons.
const (
	// ExitFromKernel: the kernel, through a pidfd of the process.
	ExitFromKernel = "pidfd"
	// ExitFromLog: supervisord's own log.
	ExitFromLog = "log"
)

// OOM says in which cgroup memory ran out, in bytes.
type OOM struct {
	Cgroup string `json:"cgroup"`
	// Limit is what its processes may use together, Peak the most that they have used; 0
	// if that is not known or there is none.
	Limit uint64 `json:"limit,omitempty"`
	Peak  uint64 `json:"peak,omitempty"`
}

// String is for people: "out of memory at 2.0 of 2 GiB".
func (o *OOM) String() string {
	const words = "out of memory"
	switch {
	case o.Limit == 0 && o.Peak == 0:
		return words
	case o.Peak == 0:
		return words + " at a limit of " + units.RoundBytes(o.Limit)
	}
	return words + " at " + o.Amount()
}

// Amount is the peak and the limit, as far as they are known: "2.0 of 2 GiB".
func (o *OOM) Amount() string {
	switch unit := units.Unit(o.Limit); {
	case o.Limit == 0 && o.Peak == 0:
		return ""
	case o.Limit == 0:
		return Bytes(o.Peak)
	case o.Peak == 0:
		return "limit " + units.RoundBytes(o.Limit)
	case o.Peak < o.Limit/20: // in the unit of the limit it would be next to nothing
		return Bytes(o.Peak) + " of " + units.RoundBytes(o.Limit)
	default:
		return units.InUnit(o.Peak, unit) + " of " + units.RoundBytes(o.Limit)
	}
}
