package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/stream"
)

// oldestServer can let a message and a key expire by itself.
var oldestServer = [2]int{2, 11}

func (d *doctor) server(context.Context) error {
	nc := d.js.Conn()
	version := nc.ConnectedServerVersion()
	if !atLeast(version, oldestServer) {
		d.fail("install nats-server 2.11 or later", "nats-server %s at %s is too old: ticks and silences would never expire", version, nc.ConnectedUrlRedacted())
		return nil
	}
	d.ok("nats-server %s at %s", version, nc.ConnectedUrlRedacted())
	return nil
}

func atLeast(version string, want [2]int) bool {
	var have [2]int
	for i, part := range strings.SplitN(version, ".", 3)[:min(2, strings.Count(version, ".")+1)] {
		have[i], _ = strconv.Atoi(part)
	}
	return slices.Compare(have[:], want[:]) >= 0
}

func (d *doctor) jetStream(ctx context.Context) error {
	info, err := d.js.AccountInfo(ctx)
	if errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		d.fail(`write "jetstream { store_dir: /var/lib/nats }" into nats-server.conf, and "jetstream: enabled" into the account if there are accounts`, "JetStream is off: %v", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("ask for JetStream: %w", err)
	}
	used, limit := schema.Size(info.Store), info.Limits.MaxStore
	if limit > 0 && info.Store > uint64(limit)*9/10 {
		d.warn("raise max_file_store in nats-server.conf, or the account's limit", "JetStream has used %s of the %v that it may", percent(info.Store, limit), schema.Size(limit))
		return nil
	}
	d.ok("JetStream is on and holds %s", mebibytes(used))
	return nil
}

func percent(n uint64, of int64) string {
	return strconv.FormatFloat(100*float64(n)/float64(of), 'f', 0, 64) + " %"
}

func mebibytes(z schema.Size) string {
	return strconv.FormatFloat(float64(z)/(1<<20), 'f', 1, 64) + " MiB"
}

// missing says that a stream or bucket is not there, with the reason why it cannot
// be created if there is one.
func (d *doctor) missing(ctx context.Context, format string, args ...any) {
	fix := "start `supernats consume`: it creates what is missing"
	if info, err := d.js.AccountInfo(ctx); err == nil {
		if err := stream.CheckRoom(ctx, d.js, info, d.cfg.StreamLimits()); err != nil {
			fix = err.Error()
		}
	}
	d.fail(fix, format, args...)
}

func (d *doctor) streams(ctx context.Context) error {
	limits := d.cfg.StreamLimits()
	const level = 1 // what a server of 2.11 can do, all must
	for _, want := range []jetstream.StreamConfig{stream.EventsConfig(limits, level), stream.AlertsConfig(limits), stream.ParkedConfig(limits)} {
		s, err := d.js.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			d.missing(ctx, "stream %s is missing", want.Name)
			continue
		}
		if err != nil {
			return fmt.Errorf("look up stream %s: %w", want.Name, err)
		}
		info := s.CachedInfo()

		if d.settings(want, info) {
			d.ok("stream %s: %s, %s", want.Name, counted(info.State.Msgs, "message"), mebibytes(schema.Size(info.State.Bytes)))
		}
	}
	return nil
}

// settings compares those of a stream with those that it needs.
func (d *doctor) settings(want jetstream.StreamConfig, info *jetstream.StreamInfo) bool {
	before, have := len(d.findings), info.Config
	edit := "nats stream edit " + want.Name + " "
	for _, subject := range want.Subjects {
		if !slices.Contains(have.Subjects, subject) && !slices.Contains(have.Subjects, ">") && !slices.Contains(have.Subjects, "supervisor.>") {
			d.fail(edit+"--subjects="+strings.Join(want.Subjects, ","), "stream %s does not store %s, but %s", want.Name, subject, strings.Join(have.Subjects, ", "))
		}
	}
	if have.Retention != jetstream.LimitsPolicy {
		d.fail("create it again with the retention policy limits", "stream %s drops what one consumer has read (retention %v)", want.Name, have.Retention)
	}
	if have.Discard != jetstream.DiscardOld {
		d.warn(edit+"--discard=old", "stream %s refuses new messages when it is full", want.Name)
	}
	if have.Duplicates < want.Duplicates {
		d.warn(edit+"--dupe-window=10m", "stream %s forgets after %v what it has stored: it may store a message twice that is sent again", want.Name, have.Duplicates)
	}
	if want.AllowMsgTTL && !have.AllowMsgTTL {
		d.warn(edit+"--allow-msg-ttl", "stream %s keeps ticks and snapshots as long as crashes: messages may have no time to live of their own", want.Name)
	}
	if !have.AllowDirect {
		d.warn(edit+"--allow-direct", "stream %s cannot be read directly: `supernats alerts` needs it", want.Name)
	}
	// A stream that is full throws the oldest away, which is how it should be,
	// unless that is of today.
	if held := info.TimeStamp.Sub(info.State.FirstTime); have.MaxBytes > 0 && info.State.Bytes > uint64(have.MaxBytes)*95/100 && held < 24*time.Hour {
		d.warn(edit+"--max-bytes="+fmt.Sprint(have.MaxBytes*4), "stream %s is full and goes back no more than %s", want.Name, age(held))
	}
	d.size(info)
	d.cluster(want.Name, info.Cluster)
	return len(d.findings) == before
}

// cluster reports replicas that are away.
func (d *doctor) cluster(name string, c *jetstream.ClusterInfo) {
	if c == nil {
		return
	}
	if c.Leader == "" {
		d.fail("start the nats-servers that are down: `nats server report jetstream`", "stream %s has no leader", name)
	}
	for _, r := range c.Replicas {
		if r.Offline || !r.Current {
			d.warn("nats server report jetstream", "stream %s: its replica on %s is away or behind", name, r.Name)
		}
	}
}

func (d *doctor) buckets(ctx context.Context) error {
	n := 0
	for _, b := range []struct {
		name  string
		ttl   string
		needs string
	}{
		{stream.StateBucket, "", ""},
		{stream.HostsBucket, "", ""},
		{stream.AlertsBucket, "", ""},
		{stream.MutesBucket, "1m", "silences cannot expire"},
		{stream.LeasesBucket, "1s", "a `supernats consume` that has died stays the active one"},
	} {
		s, err := d.js.Stream(ctx, "KV_"+b.name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			d.missing(ctx, "bucket %s is missing", b.name)
		case err != nil:
			return fmt.Errorf("look up bucket %s: %w", b.name, err)
		case b.ttl != "" && !s.CachedInfo().Config.AllowMsgTTL:
			d.fail(fmt.Sprintf("nats stream edit KV_%s --allow-msg-ttl --subject-del-markers-ttl=%s", b.name, b.ttl), "bucket %s: its keys may have no time to live, so %s", b.name, b.needs)
		default:
			d.size(s.CachedInfo())
			n++
		}
	}
	if n > 0 {
		d.ok("%d buckets", n)
	}
	return nil
}
