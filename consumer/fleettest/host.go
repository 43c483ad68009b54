package fleettest

import (
	"time"

	"supernats/schema"
)

// HostWithSeveralSupervisords is the record of the host box, which has three supervisords: one
// is silent and one has ended. It has troubles and a clock that is wrong.
func HostWithSeveralSupervisords(now time.Time) schema.HostRecord {
	ago := func(d time.Duration) schema.Time { return schema.Time{Time: now.Add(-d)} }
	trouble := func(cause, pool, text, fix string) schema.HostTrouble {
		return schema.HostTrouble{
			Cause: cause, Pool: pool, Boot: "a", Text: text, Fix: fix, Since: ago(time.Hour), Last: ago(time.Minute),
		}
	}
	fast := &schema.HostClock{Offset: -3 * 24 * time.Hour.Milliseconds(), Settled: true}

	return schema.HostRecord{
		Host: "box", Boot: "a", BridgeVersion: "v1.2.3", SupervisorState: "RUNNING", Running: 2,
		LastSeen: ago(time.Second),
		Lives: []schema.HostLife{
			{Boot: "z", Server: "system", LastSeen: ago(time.Hour), Ended: new(ago(time.Hour))},
			{Boot: "a", Server: "system", LastSeen: ago(time.Second), Clock: fast},
			{Boot: "b", Server: "user", LastSeen: ago(10 * time.Minute)},
		},
		Troubles: []schema.HostTrouble{
			trouble("disk-full", "supernats", "3 MiB are left", "make room"),
			trouble("disk-full", "logs", "3 MiB are left", "make room"),
			trouble("clock", "", "it is 3d ahead", "set it"),
		},
		MoreTroubles: 2,
	}
}
