package stream_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// settings are those of a stream on which others rely.
type settings struct {
	Subjects                  []string
	Storage                   jetstream.StorageType
	Retention                 jetstream.RetentionPolicy
	Discard                   jetstream.DiscardPolicy
	MaxAge, Duplicates        time.Duration
	MaxBytes, PerSubject      int64
	Compression               jetstream.StoreCompression
	Direct, MsgTTL, Batched   bool
	Replicas                  int
	DenyDelete, RollupAllowed bool
}

func settingsOf(t *testing.T, js jetstream.JetStream, name string) settings {
	t.Helper()
	s, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	c := s.CachedInfo().Config
	return settings{
		Subjects: c.Subjects, Storage: c.Storage, Retention: c.Retention, Discard: c.Discard,
		MaxAge: c.MaxAge, Duplicates: c.Duplicates, MaxBytes: c.MaxBytes, PerSubject: c.MaxMsgsPerSubject,
		Compression: c.Compression, Direct: c.AllowDirect, MsgTTL: c.AllowMsgTTL, Batched: c.AllowBatchPublish,
		Replicas: c.Replicas, DenyDelete: c.DenyDelete, RollupAllowed: c.AllowRollup,
	}
}

const (
	day = 24 * time.Hour
	gib = 1 << 30
)

// all are the streams and buckets with their settings, events within a limit.
func all(eventBytes int64) map[string]settings {
	size := func(mib int64) int64 { // of the 4 GiB that are the default
		return max(1<<20, min(4*gib, eventBytes)/(4<<10)*mib)
	}
	log := settings{
		Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		MaxAge: 90 * day, Duplicates: 10 * time.Minute, PerSubject: -1, Direct: true, Replicas: 1,
	}
	events := log
	events.Subjects = []string{"supervisor.event.>", "supervisor.snapshot.*", "supervisor.bridge.>", "supervisor.ack.>"}
	events.MaxAge, events.MaxBytes, events.Compression, events.MsgTTL, events.Batched = 30*day, eventBytes, jetstream.S2Compression, true, true
	alerts, parked := log, log
	alerts.MaxBytes, parked.MaxBytes = size(256), size(128)
	alerts.Subjects, parked.Subjects = []string{"supervisor.alert.>"}, []string{"supervisor.parked.*"}
	bucket := settings{
		Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		Duplicates: 2 * time.Minute, Direct: true, MsgTTL: true, Replicas: 1, DenyDelete: true, RollupAllowed: true,
	}
	states, hosts := bucket, bucket
	states.Subjects, states.PerSubject = []string{"$KV.supervisor_state.>"}, 16
	hosts.Subjects, hosts.PerSubject = []string{"$KV.supervisor_hosts.>"}, 1
	open, mutes, leases := hosts, hosts, hosts
	open.Subjects, mutes.Subjects, leases.Subjects = []string{"$KV.supervisor_alerts.>"}, []string{
		"$KV.supervisor_mutes.>",
	}, []string{"$KV.supervisor_leases.>"}
	states.MaxBytes, hosts.MaxBytes, open.MaxBytes = size(512), size(32), size(64)
	mutes.MaxBytes, leases.MaxBytes = size(16), size(16)
	return map[string]settings{
		"KV_supervisor_alerts": open, "KV_supervisor_mutes": mutes, "KV_supervisor_leases": leases,
		"SUPERVISOR": events, "SUPERVISOR_ALERTS": alerts, "SUPERVISOR_PARKED": parked,
		"KV_supervisor_state": states, "KV_supervisor_hosts": hosts,
	}
}

func TestEnsureAllCreatesWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		limits stream.Limits
		bytes  int64
	}{
		"by default":   {limits: stream.DefaultLimits(), bytes: 4 * gib},
		"a limit":      {limits: stream.Limits{Replicas: 1, EventBytes: 64 << 20}, bytes: 64 << 20},
		"second limit": {limits: stream.Limits{Replicas: 1, EventBytes: 1 * gib}, bytes: 1 * gib},
	} {
		t.Run(name, func(t *testing.T) {
			js := streamtest.Start(t).JetStream()
			for range 2 { // the second time changes nothing
				if err := stream.EnsureAll(t.Context(), js, c.limits); err != nil {
					t.Fatal(err)
				}
				got := map[string]settings{}
				names := js.StreamNames(t.Context())
				for name := range names.Name() {
					got[name] = settingsOf(t, js, name)
				}
				if names.Err() != nil {
					t.Fatal(names.Err())
				}
				if d := cmp.Diff(all(c.bytes), got); d != "" {
					t.Error(d)
				}
			}
		})
	}
}

func TestEventsAreKeptInTheirStreams(t *testing.T) {
	js := streamtest.Start(t).JetStream()
	if err := stream.EnsureAll(t.Context(), js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	for subject, want := range map[string]string{
		"supervisor.event.web1.api.api_00.process_state.exited": stream.Events,
		"supervisor.snapshot.web1":                              stream.Events,
		"supervisor.bridge.web1.started":                        stream.Events,
		"supervisor.ack.web1.api.api_00.fatal":                  stream.Events,
		"supervisor.alert.web1.api.api_00.fatal":                stream.Alerts,
		stream.ParkedSubject("notify_mail=2Fops"):               stream.Parked,
	} {
		ack, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: subject}, jetstream.WithMsgID(subject))
		if err != nil || ack.Stream != want {
			t.Errorf("%s goes to %v, %v", subject, ack, err)
		}
		if again, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: subject}, jetstream.WithMsgID(subject)); err != nil || !again.Duplicate {
			t.Errorf("%s is stored twice: %v, %v", subject, again, err)
		}
	}
	if _, err := js.Publish(t.Context(), "supervisor.event.x", nil, jetstream.WithMsgTTL(time.Hour)); err != nil {
		t.Errorf("a message that expires: %v", err)
	}
}

func TestOlderServers(t *testing.T) {
	for level, c := range []struct{ ttl, batch bool }{
		{}, {ttl: true}, {ttl: true}, {ttl: true}, {ttl: true, batch: true}, {ttl: true, batch: true},
	} {
		got := stream.EventsConfig(stream.DefaultLimits(), level)
		if got.AllowMsgTTL != c.ttl || got.AllowBatchPublish != c.batch {
			t.Errorf("level %d: TTL %t, batches %t", level, got.AllowMsgTTL, got.AllowBatchPublish)
		}
	}
}

// Limits belong to the operator.
func TestEnsureAllChangesNothingThatIsThere(t *testing.T) {
	js := streamtest.Start(t).JetStream()
	for _, c := range []jetstream.StreamConfig{
		{
			Name:     stream.Events,
			Subjects: []string{"supervisor.event.>", "supervisor.snapshot.*", "supervisor.bridge.>"},
			MaxAge:   time.Hour, MaxBytes: 1 << 20, Storage: jetstream.MemoryStorage, Duplicates: time.Minute,
		},
		{Name: stream.Alerts, Subjects: []string{"supervisor.alert.>"}, MaxMsgs: 7},
		{Name: stream.Parked, Subjects: []string{"supervisor.parked.>"}},
	} {
		if _, err := js.CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []jetstream.KeyValueConfig{
		{Bucket: stream.StateBucket, History: 3, TTL: time.Hour},
		{Bucket: stream.HostsBucket, History: 2},
		{Bucket: stream.AlertsBucket, History: 4},
		{Bucket: stream.MutesBucket, History: 5},
		{Bucket: stream.LeasesBucket, History: 6},
	} {
		if _, err := js.CreateKeyValue(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	configs := func() map[string]jetstream.StreamConfig {
		m := map[string]jetstream.StreamConfig{}
		infos := js.ListStreams(t.Context())
		for i := range infos.Info() {
			m[i.Config.Name] = i.Config
		}
		if infos.Err() != nil {
			t.Fatal(infos.Err())
		}
		return m
	}
	before := configs()
	if err := stream.EnsureAll(t.Context(), js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, configs()); d != "" || len(before) != 8 {
		t.Error(d)
	}
}

// A stream that an earlier version has created stores what this one publishes, too. Nothing
// else of it changes.
func TestEnsureAllAddsSubjects(t *testing.T) {
	js := streamtest.Start(t).JetStream()
	c := stream.EventsConfig(stream.DefaultLimits(), 2)
	want := c.Subjects
	c.Subjects = []string{stream.AllEvents, stream.AllSnapshots, stream.AllBridges, "supervisor.mine"}
	c.MaxMsgs = 7
	if _, err := js.CreateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := stream.EnsureAll(t.Context(), js, stream.DefaultLimits()); err != nil {
			t.Fatal(err)
		}
	}

	s, err := js.Stream(t.Context(), stream.Events)
	if err != nil {
		t.Fatal(err)
	}
	got := s.CachedInfo().Config
	for _, subject := range append(want, "supervisor.mine") {
		if !slices.Contains(got.Subjects, subject) {
			t.Errorf("%s is missing in %s", subject, got.Subjects)
		}
	}
	if len(got.Subjects) != len(want)+1 || got.MaxMsgs != 7 {
		t.Errorf("%+v", got)
	}
}

// One that cannot be changed keeps nobody from work, and is reported.
func TestEnsureAllReportsSubjectsThatItCannotAdd(t *testing.T) {
	js := streamtest.Start(t).JetStream()
	c := stream.EventsConfig(stream.DefaultLimits(), 2)
	c.Subjects = []string{stream.AllEvents, stream.AllSnapshots, stream.AllBridges}
	for _, c := range []jetstream.StreamConfig{c, {Name: "MINE", Subjects: []string{stream.AllAcks}}} {
		if _, err := js.CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	limits := stream.DefaultLimits()
	var reported []string
	limits.Report = func(text string) { reported = append(reported, text) }
	if err := stream.EnsureAll(t.Context(), js, limits); err != nil {
		t.Fatal(err)
	}
	if len(reported) != 1 || !strings.Contains(reported[0], "supervisor.ack.>") {
		t.Errorf("reported %q", reported)
	}
}

// Bridges and daemons of a fleet start at once, with limits of their own.
func TestEnsureAllAtOnce(t *testing.T) {
	s := streamtest.Start(t)
	const clients = 8
	var start, done sync.WaitGroup
	start.Add(1)
	errs := make(chan error, clients)
	for i := range clients {
		js := s.JetStream()
		limits := stream.Limits{Replicas: 1, EventBytes: int64(64+i%2) << 20}
		done.Go(func() {
			start.Wait()
			errs <- stream.EnsureAll(t.Context(), js, limits)
		})
	}
	start.Done()
	done.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	js := s.JetStream()
	got := settingsOf(t, js, stream.Events)
	if got.MaxBytes != 64<<20 && got.MaxBytes != 65<<20 {
		t.Errorf("%+v", got)
	}
	if d := cmp.Diff(all(got.MaxBytes)[stream.Events], got); d != "" {
		t.Error(d)
	}
}

func TestEnsureAllSaysWhatItCannotCreate(t *testing.T) {
	js := streamtest.Start(t).JetStream()
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "MINE", Subjects: []string{"supervisor.>"},
	}); err != nil {
		t.Fatal(err)
	}
	err := stream.EnsureAll(t.Context(), js, stream.DefaultLimits())
	var api *jetstream.APIError
	if !errors.As(err, &api) || api.ErrorCode != 10065 {
		t.Errorf("subjects of another stream: %v", err)
	}
}
