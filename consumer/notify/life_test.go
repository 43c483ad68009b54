package notify_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/notify"
	"supernats/consumer/notify/notifytest"
	"supernats/schema"
)

func TestLasted(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 ms", 0: "0 ms", 12 * time.Millisecond: "12 ms", 999 * time.Millisecond: "999 ms",
		time.Second: "1.0 s", 3249 * time.Millisecond: "3.2 s", 9949 * time.Millisecond: "9.9 s", 9951 * time.Millisecond: "10 s",
		42 * time.Second: "42 s", 59600 * time.Millisecond: "1 min", 200 * time.Second: "3 min 20 s",
		59*time.Minute + 59700*time.Millisecond: "1 h", 4*time.Hour + 12*time.Minute + 40*time.Second: "4 h 13 min",
		23*time.Hour + 59*time.Minute + 40*time.Second: "1 d", 52*time.Hour + 4*time.Minute: "2 d 4 h", 47*time.Hour + 40*time.Minute: "2 d",
		400 * 24 * time.Hour: "400 d", math.MaxInt64: "106751 d 23 h",
	} {
		if got := notify.Lasted(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestWhy(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*schema.AlertEvent)
		want   string
	}{
		"all":                   {func(*schema.AlertEvent) {}, "ran 2 d 4 h, SIGKILL, out of memory at 2.0 of 2 GiB"},
		"no reason":             {func(ev *schema.AlertEvent) { ev.Exit = nil }, "ran 2 d 4 h"},
		"a code":                {func(ev *schema.AlertEvent) { ev.Exit, *ev.Ran = code(3), 0.25 }, "ran 250 ms, exit code 3"},
		"an older bridge":       {func(ev *schema.AlertEvent) { ev.Ran, ev.Exit = nil, code(3) }, "exit code 3"},
		"while it started":      {func(ev *schema.AlertEvent) { ev.Ran, ev.Exit.SpawnErr = nil, "Exited too quickly" }, "SIGKILL, out of memory at 2.0 of 2 GiB"},
		"a length that is none": {func(ev *schema.AlertEvent) { ev.Exit, *ev.Ran = nil, -math.MaxFloat64 }, "ran 0 ms"},
		"a length beyond all":   {func(ev *schema.AlertEvent) { ev.Exit, *ev.Ran = nil, math.MaxFloat64 }, "ran 106751 d 23 h"},
	} {
		if got := notify.Why(&notifytest.OutOfMemory("a", c.change).Data.Events[0]); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestLastLook(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*schema.AlertEvent)
		want   string
	}{
		"all":          {func(*schema.AlertEvent) {}, "2.2 s before: 1.9 GiB (peak 2.0 GiB), 500 ms CPU, 1 thread, 31 open files"},
		"none":         {func(ev *schema.AlertEvent) { ev.Last = nil }, ""},
		"nothing seen": {func(ev *schema.AlertEvent) { ev.Last = &schema.Look{Time: ev.Time} }, ""},
		"little": {
			func(ev *schema.AlertEvent) {
				ev.Last = &schema.Look{Time: ev.Last.Time, RSS: 5 << 20, PeakRSS: 5 << 20}
			}, "3.0 s before: 5.0 MiB",
		},
		"a clock that is wrong": {func(ev *schema.AlertEvent) {
			ev.Ran, ev.HostTime = nil, &schema.Time{Time: ev.Last.Time.Add(time.Minute)}
		}, "1 min before: 1.9 GiB (peak 2.0 GiB), 500 ms CPU, 1 thread, 31 open files"},
		"after its end": {func(ev *schema.AlertEvent) { ev.Last.Age = 1e9 }, "1.9 GiB (peak 2.0 GiB), 500 ms CPU, 1 thread, 31 open files"},
	} {
		if got := notify.LastLook(&notifytest.OutOfMemory("a", c.change).Data.Events[0]); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// What chats, Alertmanager and PagerDuty show of it.
func TestALackOfMemoryIsSaid(t *testing.T) {
	n := notifytest.OutOfMemory("a")
	const text = "web1 api:api_00 exited unexpectedly (ran 2 d 4 h, SIGKILL, out of memory at 2.0 of 2 GiB)"
	if got := notify.LineOf(n).String(); got != "FIRING "+text {
		t.Errorf("line: %s", got)
	}

	i := notify.Incidents([]*schema.CloudEvent[*schema.Notification]{n})[0]
	notes := i.Annotations(10)
	want := map[string]string{
		"summary": text, "description": "2026-11-21T19:00:31.833Z " + text, "count": "1", "alert": "a", "notification": "a/1",
		"ran": "2 d 4 h", "out_of_memory": `2.0 of 2 GiB in cgroup /system.slice/a\x1b.service`,
		"last_look": "2.2 s before: 1.9 GiB (peak 2.0 GiB), 500 ms CPU, 1 thread, 31 open files", "address": "192.0.2.11",
	}
	if d := cmp.Diff(want, notes); d != "" {
		t.Errorf("annotations (-want +got):\n%s", d)
	}
	// It is no label: these say which alert it is.
	for name, value := range i.Labels() {
		if name == "ran" || name == "out_of_memory" {
			t.Errorf("label %s=%q", name, value)
		}
	}
	// What the rule's author has called so is kept.
	n.Data.Annotations = map[string]string{"ran": "by cron"}
	if got := notify.Incidents([]*schema.CloudEvent[*schema.Notification]{n})[0].Annotations(10)["ran"]; got != "by cron" {
		t.Errorf("the annotation of the rule has become %q", got)
	}
}
