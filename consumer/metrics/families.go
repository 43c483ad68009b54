package metrics

import (
	"supernats/consumer/fleet"
	"supernats/schema"
)

// Types of metrics.
const (
	gauge   = "gauge"
	counter = "counter"
)

// family is a metric with all its series, of type T: those of a process or of a host.
type family[T any] struct {
	// name is without the _total that the samples of a counter end in, unless it is one of
	// node_exporter's.
	name, kind, help string
	series           []series[T]
	// bare marks a counter of which the name has no _total, odd a metric of which the name
	// has one although it is no counter in OpenMetrics.
	bare, odd bool
}

// series are the samples of a family with the same further labels.
type series[T any] struct {
	// labels come after those of the host and the process: `,expected="true"`.
	labels string
	// value returns a value, or false if there is none.
	value func(T) (float64, bool)
}

// one is the only series of a family.
func one[T any](value func(T) (float64, bool)) []series[T] { return []series[T]{{value: value}} }

// known is a value that is always there.
func known[T any](value func(T) float64) func(T) (float64, bool) {
	return func(of T) (float64, bool) { return value(of), true }
}

// processFamilies have the names, the types and the values of the bridge's own /metrics, and
// what only records can say. The counters come from the records: they are there, at 0,
// before anything happens, and survive all restarts.
var processFamilies = []family[*fleet.Process]{
	{
		name: "supervisord_up", kind: gauge,
		help:   "1 if the process is STARTING or RUNNING.",
		series: one(known(func(p *fleet.Process) float64 { return oneIf(schema.IsUp(stateOf(p))) })),
	},
	{
		name: "supervisord_state", kind: gauge,
		help: "State of the process: 0 STOPPED, 10 STARTING, 20 RUNNING, 30 BACKOFF, 40 STOPPING, " +
			"100 EXITED, 200 FATAL, 1000 UNKNOWN.",
		series: one(known(func(p *fleet.Process) float64 { return float64(schema.StateCode(stateOf(p))) })),
	},
	{
		name: "supervisord_exit_status", kind: gauge,
		help: "Exit status as supervisord reports it: -1 after a signal, " +
			"0 from the next start on and of a process that has not come up.",
		series: one(exitStatus),
	},
	{
		name: "supervisord_start_time_seconds", kind: gauge,
		help:   "When the process was started, Unix time; only while it is STARTING or RUNNING.",
		series: one(startTime),
	},
	{
		// A counter by its name only. In OpenMetrics it would have the name of the gauge.
		name: "supervisord_start_time_seconds_total", kind: counter, odd: true,
		help:   "The same as supervisord_start_time_seconds, for old dashboards.",
		series: one(startTime),
	},
	{
		name: "supervisord_process_starts", kind: counter,
		help:   "How often the process was started.",
		series: one(known(func(p *fleet.Process) float64 { return float64(p.Starts) })),
	},
	{
		name: "supervisord_process_exits", kind: counter,
		help: "How often the process ended by itself after its startsecs; " +
			"expected by its exitcodes or not.",
		series: []series[*fleet.Process]{
			{labels: `,expected="true"`, value: known(func(p *fleet.Process) float64 {
				return float64(p.Exits - min(p.Exits, p.UnexpectedExits))
			})},
			{labels: `,expected="false"`, value: known(func(p *fleet.Process) float64 {
				return float64(p.UnexpectedExits)
			})},
		},
	},
	{
		name: "supervisord_process_fatals", kind: counter,
		help:   "How often supervisord gave up starting the process.",
		series: one(known(func(p *fleet.Process) float64 { return float64(p.Fatals) })),
	},
}

// nodeFamilies are those of node_exporter's collector of supervisord
// (collector/supervisord.go), with the label host.
var nodeFamilies = []family[*fleet.Process]{
	{
		name: "node_supervisord_up", kind: gauge, help: "Process Up",
		series: one(known(func(p *fleet.Process) float64 { return oneIf(isRunning(stateOf(p))) })),
	},
	{
		name: "node_supervisord_state", kind: gauge, help: "Process State",
		series: one(known(func(p *fleet.Process) float64 { return float64(schema.StateCode(stateOf(p))) })),
	},
	{
		name: "node_supervisord_exit_status", kind: gauge, help: "Process Exit Status",
		series: one(exitStatus),
	},
	{
		name: "node_supervisord_start_time_seconds", kind: counter, bare: true, help: "Process start time",
		series: one(func(p *fleet.Process) (float64, bool) {
			if !isRunning(stateOf(p)) {
				return 0, false
			}
			return started(p)
		}),
	},
}

// isRunning is that of node_exporter: there is a process.
func isRunning(state string) bool { return schema.IsUp(state) || state == schema.StateStopping }

// stateOf returns the state of a process: UNKNOWN if nothing has come from its supervisord
// for too long, STOPPED if that has announced its shutdown and ended.
func stateOf(p *fleet.Process) string {
	switch {
	case p.UnknownSince != nil:
		return schema.StateUnknown
	case p.StoppedSince != nil:
		return schema.StateStopped
	}
	return p.State
}

// exitStatus returns supervisord's status of a process that was stopped or has ended, -1 for
// any signal, and 0 of any other. Where nobody has said it yet there is none: 0 would look
// well.
func exitStatus(p *fleet.Process) (status float64, known bool) {
	if p.State != schema.StateExited && p.State != schema.StateStopped {
		return 0, true
	}

	isExited := p.State == schema.StateExited
	switch {
	case isExited && p.Exit != nil && p.Exit.Code != nil:
		return float64(*p.Exit.Code), true
	case isExited && p.Exit != nil && p.Exit.Signal != "":
		return -1, true
	case p.ExitStatus != nil:
		return float64(*p.ExitStatus), true
	}
	return 0, false
}

// startTime returns when a process that is up was started.
func startTime(p *fleet.Process) (unix float64, known bool) {
	if !schema.IsUp(stateOf(p)) {
		return 0, false
	}
	return started(p)
}

// started returns when a process was started or, of a record that does not say so, since
// when it is up.
func started(p *fleet.Process) (unix float64, known bool) {
	switch {
	case p.Started != nil:
		return unixTime(*p.Started), true
	case schema.IsUp(p.State):
		return unixTime(p.Since), true
	}
	return 0, false
}

// unixTime is in seconds, to the millisecond.
func unixTime(t schema.Time) float64 { return float64(t.UnixMilli()) / 1e3 }

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

var hostFamilies = []family[*fleet.Host]{
	{
		name: "supervisord_host_up", kind: gauge,
		help: "0 if nothing has come from the host for 3 minutes, " +
			"or its supervisord was killed or has shut down.",
		series: one(known(isHostUp)),
	},
	{
		name: "supervisord_host_last_seen_timestamp_seconds", kind: gauge,
		help: "When the stream got the last message of the host that is recorded, Unix time; " +
			"a host sends one every minute, and this is recorded every 10 seconds.",
		series: one(func(h *fleet.Host) (float64, bool) { return unixTime(h.LastSeen), !h.LastSeen.IsZero() }),
	},
	{
		name: "supervisord_events_lost", kind: counter,
		help:   "Events of the host that were lost, by cause, as its bridges report.",
		series: lossSeries(),
	},
}

func isHostUp(h *fleet.Host) float64 { return oneIf(h.UnknownSince == nil && h.ShutDownSince == nil) }

// lossSeries are the causes of losses. What records of earlier versions have counted without
// a cause is one of LossOther.
func lossSeries() (list []series[*fleet.Host]) {
	for _, cause := range schema.LossCauses() {
		list = append(list, series[*fleet.Host]{
			labels: `,cause="` + cause + `"`,
			value:  known(func(h *fleet.Host) float64 { return float64(h.LostBy[cause]) }),
		})
	}
	return append(list, series[*fleet.Host]{
		labels: `,cause="` + schema.LossOther + `"`,
		value: known(func(h *fleet.Host) float64 {
			rest := h.Lost
			for _, cause := range schema.LossCauses() {
				rest -= min(rest, h.LostBy[cause])
			}
			return float64(rest)
		}),
	})
}
