package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/wording"
	"supernats/schema"
	"supernats/schema/checkup"
	"supernats/schema/stream"
)

// checkStreams reports streams that are missing, and settings by which they lose
// something.
func checkStreams(ctx context.Context, in *Installation, r *checkup.Report) error {
	limits := in.Config.Limits
	const level = 1 // what a server of 2.11 can do, all must
	for _, want := range []jetstream.StreamConfig{
		stream.EventsConfig(limits, level), stream.AlertsConfig(limits), stream.ParkedConfig(limits),
	} {
		s, err := in.Reader.JS.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			r.Fail(fixForMissing(ctx, in), "stream %s is missing", want.Name)
			continue
		}
		if err != nil {
			return fmt.Errorf("look up stream %s: %w", want.Name, err)
		}

		info, before := s.CachedInfo(), len(r.Findings)
		compareSettings(r, want, info)
		checkFullness(r, info)
		checkLimits(r, limits, info)
		checkReplicas(r, info)
		if len(r.Findings) == before {
			r.OK("stream %s: %s, %s", want.Name, wording.Count(info.State.Msgs, "message", "messages"),
				wording.Mebibytes(info.State.Bytes))
		}
	}
	return nil
}

// fixForMissing says what creates a stream or bucket, or why it cannot be created.
func fixForMissing(ctx context.Context, in *Installation) string {
	info, err := in.Reader.JS.AccountInfo(ctx)
	if err == nil {
		err = stream.CheckRoom(ctx, in.Reader.JS, info, in.Config.Limits)
		if err != nil {
			return err.Error()
		}
	}
	return "start `supernats consume`: it creates what is missing"
}

// compareSettings compares those of a stream with those that it needs.
func compareSettings(r *checkup.Report, want jetstream.StreamConfig, info *jetstream.StreamInfo) {
	have := info.Config
	edit := "nats stream edit " + want.Name + " "
	if missing := stream.MissingSubjects(want.Subjects, have.Subjects); len(missing) > 0 {
		r.Fail(stream.EditSubjects(want.Name, have.Subjects, missing),
			"stream %s does not store %s, but %s",
			want.Name, strings.Join(missing, ", "), strings.Join(have.Subjects, ", "))
	}

	if have.Retention != jetstream.LimitsPolicy {
		r.Fail("create it again with the retention policy limits",
			"stream %s drops what one consumer has read (retention %v)", want.Name, have.Retention)
	}
	if have.Discard != jetstream.DiscardOld {
		r.Warn(edit+"--discard=old", "stream %s refuses new messages when it is full", want.Name)
	}
	if have.Duplicates < want.Duplicates {
		r.Warn(edit+"--dupe-window=10m",
			"stream %s forgets after %v what it has stored: it may store a message twice that is sent again",
			want.Name, have.Duplicates)
	}
	if want.AllowMsgTTL && !have.AllowMsgTTL {
		r.Warn(edit+"--allow-msg-ttl",
			"stream %s keeps ticks and snapshots as long as crashes: messages may have no time to live of their own",
			want.Name)
	}
	if !have.AllowDirect {
		r.Warn(edit+"--allow-direct", "stream %s cannot be read directly: `supernats alerts` needs it", want.Name)
	}
}

// checkFullness reports a stream so full that it drops messages of today. That a full
// stream drops its oldest messages is as it should be.
func checkFullness(r *checkup.Report, info *jetstream.StreamInfo) {
	have := info.Config
	full := have.MaxBytes > 0 && info.State.Bytes > uint64(have.MaxBytes)*95/100
	if span := info.TimeStamp.Sub(info.State.FirstTime); full && span < 24*time.Hour {
		r.Warn(fmt.Sprintf("nats stream edit %s --max-bytes=%d", have.Name, have.MaxBytes*4),
			"stream %s is full and goes back no more than %s", have.Name, wording.Compact(span))
	}
}

// checkReplicas reports replicas that are away.
func checkReplicas(r *checkup.Report, info *jetstream.StreamInfo) {
	name, cluster := info.Config.Name, info.Cluster
	if cluster == nil {
		return
	}
	if cluster.Leader == "" {
		r.Fail("start the nats-servers that are down: `nats server report jetstream`", "stream %s has no leader", name)
	}
	for _, replica := range cluster.Replicas {
		if replica.Offline || !replica.Current {
			r.Warn("nats server report jetstream", "stream %s: its replica on %s is away or behind", name, replica.Name)
		}
	}
}

// checkLimits reports a stream without a size limit, with another one than is configured,
// nearly full where that loses something, or with fewer replicas than are configured.
func checkLimits(r *checkup.Report, limits stream.Limits, info *jetstream.StreamInfo) {
	have := info.Config
	configured := limits.Sizes.Written(have.Name)
	_, isBucket := stream.BucketOf(have.Name)
	nearlyFull := info.State.Bytes > uint64(have.MaxBytes)*9/10

	switch {
	case have.MaxBytes <= 0:
		r.Warn(fmt.Sprintf("nats stream edit %s --max-bytes=%d --discard=old", have.Name, limits.Bytes(have.Name)),
			"stream %s has no size limit: it may fill the account, and then nothing is stored any more", have.Name)
	case configured > 0 && configured != have.MaxBytes:
		r.Warn(fmt.Sprintf("nats stream edit %s --max-bytes=%d", have.Name, configured),
			"stream %s may take %v, and the configuration file says %v",
			have.Name, schema.Size(have.MaxBytes), schema.Size(configured))
	case have.Discard == jetstream.DiscardNew && nearlyFull:
		r.Warn(fmt.Sprintf("nats stream edit %s --max-bytes=%d --discard=old", have.Name, 4*have.MaxBytes),
			"stream %s has used %s of its %v, and refuses new records when it is full",
			have.Name, percent(info.State.Bytes, have.MaxBytes), schema.Size(have.MaxBytes))
	case isBucket && nearlyFull:
		r.Warn(fmt.Sprintf("nats stream edit %s --max-bytes=%d", have.Name, 4*have.MaxBytes),
			"stream %s has used %s of its %v, and drops its oldest records when it is full",
			have.Name, percent(info.State.Bytes, have.MaxBytes), schema.Size(have.MaxBytes))
	}

	if have.Replicas < limits.Replicas {
		r.Warn(fmt.Sprintf("when nats-server runs in a cluster: nats stream edit %s --replicas=%d; "+
			"else set nats.replicas to %d",
			have.Name, limits.Replicas, have.Replicas),
			"stream %s has %d replicas, and the configuration file says %d", have.Name, have.Replicas, limits.Replicas)
	}
}

// bucketNeeds are the buckets, and what does not work where their keys cannot expire.
var bucketNeeds = []struct {
	bucket string
	// ttl is the setting that lets keys expire, "" where none does.
	ttl string
	// without says what does not work without it.
	without string
}{
	{bucket: stream.StateBucket},
	{bucket: stream.HostsBucket},
	{bucket: stream.AlertsBucket},
	{stream.MutesBucket, "1m", "silences cannot expire"},
	{stream.LeasesBucket, "1s", "a `supernats consume` that has died stays the active one"},
}

// checkBuckets reports buckets that are missing, or whose keys cannot expire.
func checkBuckets(ctx context.Context, in *Installation, r *checkup.Report) error {
	usable := 0
	for _, need := range bucketNeeds {
		s, err := in.Reader.JS.Stream(ctx, stream.OfBucket(need.bucket))
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			r.Fail(fixForMissing(ctx, in), "bucket %s is missing", need.bucket)
		case err != nil:
			return fmt.Errorf("look up bucket %s: %w", need.bucket, err)
		case need.ttl != "" && !s.CachedInfo().Config.AllowMsgTTL:
			r.Fail(fmt.Sprintf("nats stream edit %s --allow-msg-ttl --subject-del-markers-ttl=%s",
				stream.OfBucket(need.bucket), need.ttl),
				"bucket %s: its keys may have no time to live, so %s", need.bucket, need.without)
		default:
			checkLimits(r, in.Config.Limits, s.CachedInfo())
			usable++
		}
	}

	if usable > 0 {
		r.OK("%d buckets", usable)
	}
	return nil
}

// checkWrites tries whether the streams and buckets store what they get: a server that has
// met a full disk answers everything else as before. What this user may not write is not
// tried.
func checkWrites(ctx context.Context, in *Installation, r *checkup.Report) error {
	for _, name := range stream.Names() {
		err := in.Guard.Run(ctx, func(ctx context.Context) error { return stream.TryWrite(ctx, in.Reader.JS, name) })
		var refusal *stream.WriteError
		switch {
		case !errors.As(err, &refusal):
		case refusal.Full:
			r.Fail(fmt.Sprintf("nats stream edit %s --max-bytes=SIZE --discard=old, or raise the limit of the account",
				name), "%v", err)
		default:
			r.Fail("restart nats-server: a stream in which a write has failed once stores nothing before that "+
				"(`supernats consume` restarts the server that it embeds by itself); see also: df -h", "%v", err)
		}
	}
	return nil
}
