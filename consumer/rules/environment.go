package rules

import (
	"math"
	"time"

	"supernats/schema"
)

// environment is what an expression sees of an event, by the event's names in JSON. What
// an event does not have is the zero value of its type; exit.known and expected_known
// distinguish such a zero from a real one.
type environment struct {
	Event         string            `expr:"event"`
	Host          string            `expr:"host"`
	Server        string            `expr:"server"`
	Group         string            `expr:"group"`
	Process       string            `expr:"process"`
	FromState     string            `expr:"from_state"`
	Expected      bool              `expr:"expected"`
	ExpectedKnown bool              `expr:"expected_known"`
	PID           int               `expr:"pid"`
	Tries         int               `expr:"tries"`
	Channel       string            `expr:"channel"`
	Type          string            `expr:"type"`
	Data          string            `expr:"data"`
	Exit          exit              `expr:"exit"`
	Ran           float64           `expr:"ran"`
	RanKnown      bool              `expr:"ran_known"`
	Last          look              `expr:"last"`
	Log           logs              `expr:"log"`
	Extra         map[string]string `expr:"extra"`
	Time          time.Time         `expr:"time"`
}

type exit struct {
	Known    bool   `expr:"known"`
	Code     int    `expr:"code"`
	Signal   string `expr:"signal"`
	Core     bool   `expr:"core"`
	SpawnErr string `expr:"spawnerr"`
	Source   string `expr:"source"`
	OOM      oom    `expr:"oom"`
}

type oom struct {
	Known  bool   `expr:"known"`
	Cgroup string `expr:"cgroup"`
	Limit  int    `expr:"limit"`
	Peak   int    `expr:"peak"`
}

type look struct {
	Known   bool    `expr:"known"`
	RSS     int     `expr:"rss_bytes"`
	PeakRSS int     `expr:"rss_peak_bytes"`
	CPU     float64 `expr:"cpu_seconds"`
	Threads int     `expr:"threads"`
	FDs     int     `expr:"fds"`
	Age     float64 `expr:"age_seconds"`
}

type logs struct {
	Stdout string `expr:"stdout"`
	Stderr string `expr:"stderr"`
}

func (v *environment) set(ce *schema.CloudEvent[*schema.Event]) {
	e := ce.Data
	*v = environment{
		Event: e.Event, Host: e.Host, Server: e.Server, Group: e.Group, Process: e.Process,
		FromState: e.FromState, PID: e.PID, Channel: e.Channel, Type: e.Type, Extra: e.Extra, Time: ce.Time.Time,
	}

	if e.Expected != nil {
		v.Expected = *e.Expected
		v.ExpectedKnown = true
	}
	if e.Tries != nil {
		v.Tries = *e.Tries
	}
	if e.Data != nil {
		v.Data = *e.Data
	}
	if x := e.Exit; x != nil {
		v.Exit.set(x)
	}
	if e.Ran != nil {
		v.Ran = *e.Ran
		v.RanKnown = true
	}
	if l := e.Last; l != nil {
		v.Last = look{
			Known: true, RSS: whole(l.RSS), PeakRSS: whole(l.PeakRSS), CPU: l.CPU,
			Threads: l.Threads, FDs: l.Descriptors, Age: l.Age,
		}
	}
	if e.Log != nil {
		v.Log = logs(*e.Log)
	}
}

func (v *exit) set(x *schema.Exit) {
	*v = exit{Known: true, Signal: x.Signal, Core: x.Core, SpawnErr: x.SpawnErr, Source: x.Source}
	if x.Code != nil {
		v.Code = *x.Code
	}
	if o := x.OOM; o != nil {
		v.OOM = oom{Known: true, Cgroup: o.Cgroup, Limit: whole(o.Limit), Peak: whole(o.Peak)}
	}
}

// whole is a number as expressions have them.
func whole(n uint64) int { return int(min(n, math.MaxInt)) }
