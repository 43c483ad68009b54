package setupcmd

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/consumer/wording"
	"supernats/schema"
	"supernats/schema/stream"
)

// Init is the command init.
type Init struct {
	Replicas *int `placeholder:"N" env:"-" help:"${help_replicas}"`
	frame.OutputFlag
}

// madeStream is a stream or bucket after init.
type madeStream struct {
	Name     string `json:"name"`
	Created  bool   `json:"created"`
	MaxBytes int64  `json:"max_bytes"`
	Bytes    uint64 `json:"bytes"`
	Messages uint64 `json:"messages"`
	Replicas int    `json:"replicas"`
}

// Examples are shown below the help.
func (*Init) Examples() []string {
	return []string{"supernats init", "supernats init --replicas 3 -c /etc/supernats/supernats.yaml"}
}

// Run creates the streams and buckets that are missing, and prints all of them.
func (i *Init) Run(ctx context.Context, c *frame.Flags) error {
	cfg, err := c.Load()
	if err != nil {
		return err
	}
	if i.Replicas != nil {
		cfg.NATS.Replicas = *i.Replicas
	}
	if n := cfg.NATS.Replicas; n < 1 || n > 5 {
		return frame.UsageError{Err: fmt.Errorf("--replicas: invalid value %d: want 1 to 5", n)}
	}
	limits := cfg.StreamLimits()
	limits.Report = func(text string) { terminal.Say("supernats: %s", text) }

	return c.WithReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
		before, err := lookUpStreams(ctx, r.JS)
		if err != nil {
			return err
		}
		if err := stream.EnsureAll(ctx, r.JS, limits); err != nil {
			return err
		}
		after, err := lookUpStreams(ctx, r.JS)
		if err != nil {
			return err
		}
		sayWhatStays(before, limits)
		return i.print(before, after)
	})
}

// sayWhatStays names what was there with other limits than are asked for, and the command
// that changes it.
func sayWhatStays(before map[string]*jetstream.StreamInfo, limits stream.Limits) {
	for _, name := range stream.Names() {
		info := before[name]
		if info == nil {
			continue
		}
		if have := info.Config.Replicas; have < limits.Replicas {
			terminal.Say("supernats: stream %s was there with %s, not %d; in a cluster: "+
				"`nats stream edit %s --replicas=%d`",
				name, wording.Count(uint64(have), "replica", "replicas"), limits.Replicas, name, limits.Replicas)
		}
		want := limits.Sizes.Written(name)
		if have := info.Config.MaxBytes; want > 0 && have != want {
			terminal.Say("supernats: stream %s was there with %s, not %v: `nats stream edit %s --max-bytes=%d`",
				name, sizeLimit(have), schema.Size(want), name, want)
		}
	}
}

// sizeLimit is how much a stream may take.
func sizeLimit(maxBytes int64) string {
	if maxBytes <= 0 {
		return "no limit"
	}
	return schema.Size(maxBytes).String()
}

// lookUpStreams returns the streams that exist, by name.
func lookUpStreams(ctx context.Context, js jetstream.JetStream) (map[string]*jetstream.StreamInfo, error) {
	infos := map[string]*jetstream.StreamInfo{}
	for _, name := range stream.Names() {
		s, err := js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look up stream %s: %w", name, err)
		}
		infos[name] = s.CachedInfo()
	}
	return infos, nil
}

func (i *Init) print(before, after map[string]*jetstream.StreamInfo) error {
	var list []madeStream
	t := terminal.Table{Columns: []string{"STREAM OR BUCKET", "RESULT", "MAX SIZE", "USED", "REPLICAS"}}
	for _, name := range stream.Names() {
		info := after[name]
		if info == nil {
			continue // deleted meanwhile
		}
		shown := name
		if bucket, ok := stream.BucketOf(name); ok {
			shown = bucket
		}
		s := madeStream{
			Name: shown, Created: before[name] == nil, MaxBytes: info.Config.MaxBytes,
			Bytes: info.State.Bytes, Messages: info.State.Msgs, Replicas: info.Config.Replicas,
		}
		list = append(list, s)

		what := "was there"
		if s.Created {
			what = "created"
		}
		t.Add(terminal.Grey, s.Name, what, sizeLimit(s.MaxBytes), wording.Mebibytes(s.Bytes), strconv.Itoa(s.Replicas))
	}

	return frame.Print(&i.OutputFlag, list, t.Print)
}
