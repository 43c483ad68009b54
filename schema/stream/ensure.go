package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
)

// EnsureEvents creates the stream Events if it is missing. It leaves room for the
// others in the account.
func EnsureEvents(ctx context.Context, js jetstream.JetStream, limits Limits) error {
	if _, err := js.Stream(ctx, Events); !errors.Is(err, jetstream.ErrStreamNotFound) {
		return lookUp(Events, err)
	}
	info, err := js.AccountInfo(ctx)
	if err != nil {
		return fmt.Errorf("create stream %s: ask for the level of the JetStream API: %w", Events, err)
	}
	limits = limits.fit(info, Names())
	return limits.create(ctx, js, EventsConfig(limits, info.API.Level), info)
}

// EnsureAll creates every stream and bucket that is missing, and gives a size to
// those of ours that have none.
func EnsureAll(ctx context.Context, js jetstream.JetStream, limits Limits) error {
	have := map[string]*jetstream.StreamInfo{}
	var missing []string
	for _, name := range Names() {
		switch s, err := js.Stream(ctx, name); {
		case err == nil:
			have[name] = s.CachedInfo()
		case errors.Is(err, jetstream.ErrStreamNotFound):
			missing = append(missing, name)
		default:
			return lookUp(name, err)
		}
	}

	level := levelMsgTTL // what matters for those that are there
	var info *jetstream.AccountInfo
	if len(missing) > 0 {
		var err error
		if info, err = js.AccountInfo(ctx); err != nil {
			return fmt.Errorf("create stream %s: ask for the level of the JetStream API: %w", missing[0], err)
		}
		if level = info.API.Level; level < levelMsgTTL {
			return fmt.Errorf("create stream %s: nats-server %s is too old, 2.11 or later is needed: it knows no TTL of messages, by which silences and leases end", missing[0], js.Conn().ConnectedServerVersion())
		}
		if err := countStreams(info, limits, missing); err != nil {
			return err
		}
		limits = limits.fit(info, missing)
	}
	for _, c := range Configs(limits, level) {
		if i := have[c.Name]; i != nil {
			limits.bound(ctx, js, i, c)
			continue
		}
		if err := limits.create(ctx, js, c, info); err != nil {
			return err
		}
	}
	return nil
}

func lookUp(name string, err error) error {
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", name, err)
	}
	return nil
}

// countStreams says what is needed where an account may have too few streams.
func countStreams(info *jetstream.AccountInfo, limits Limits, missing []string) error {
	tier, _ := tierOf(info, limits.Replicas)
	if most := tier.Limits.MaxStreams; most > 0 && tier.Streams+len(missing) > most {
		return fmt.Errorf("create stream %s: this account may have %d streams and has %d; %d more are needed, each bucket is one: %s: raise its limit to %d (max_streams in nats-server.conf; nsc edit account --js-streams)",
			missing[0], most, tier.Streams, len(missing), strings.Join(missing, ", "), tier.Streams+len(missing))
	}
	return nil
}

// create creates a stream, a smaller one where the server has no room for it. What
// cannot be as it was asked for is said.
func (l Limits) create(ctx context.Context, js jetstream.JetStream, c jetstream.StreamConfig, info *jetstream.AccountInfo) error {
	wanted := Limits{Replicas: l.Replicas, EventBytes: l.EventBytes, Sizes: l.Sizes}.Bytes(c.Name)
	for {
		_, err := js.CreateStream(ctx, c)
		var api *jetstream.APIError
		switch {
		case err == nil:
			if c.MaxBytes < wanted {
				l.say("stream %s may take %v, not %v: %s has no room for more (nats.streams in the configuration file sets the size of each)",
					c.Name, schema.Size(c.MaxBytes), schema.Size(wanted), room(info, l.Replicas))
			}
			return nil
		case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse):
			return nil // another program was faster, with other limits: those stay
		case !errors.As(err, &api):
			return fmt.Errorf("create stream %s: %w", c.Name, err)
		}

		switch smaller := wholeMiB(c.MaxBytes / 2); {
		case api.ErrorCode == codeNoReplicas && c.Replicas > 1:
			l.say("stream %s has 1 replica, not %d: this nats-server is in no cluster, so whatever breaks it takes the stream with it", c.Name, c.Replicas)
			c.Replicas = 1
		case noRoom(api) && l.Sizes.Written(c.Name) == 0 && smaller < c.MaxBytes:
			c.MaxBytes = smaller
		default:
			return fmt.Errorf("create stream %s with at most %v: %w%s", c.Name, schema.Size(c.MaxBytes), err, advice(api, info, c))
		}
	}
}

func noRoom(api *jetstream.APIError) bool {
	return slices.Contains([]jetstream.ErrorCode{codeAccountLimit, codeInsufficient, codeStorageExceeded, codeMaxStreamBytes}, api.ErrorCode)
}

// room names what bounds an account's storage.
func room(info *jetstream.AccountInfo, replicas int) string {
	tier, _ := tierOf(info, replicas)
	switch most := tier.Limits.MaxStore; {
	case tier.Limits.StoreMaxStreamBytes > 0:
		return fmt.Sprintf("this account, whose streams may take %v each and %s together,", schema.Size(tier.Limits.StoreMaxStreamBytes), sizeOr(most, "any size"))
	case most > 0:
		return fmt.Sprintf("this account, which may store %v,", schema.Size(most))
	}
	return "the server (max_file_store)"
}

func sizeOr(bytes int64, none string) string {
	if bytes <= 0 {
		return none
	}
	return schema.Size(bytes).String()
}

// advice says what to do about an answer of the server.
func advice(api *jetstream.APIError, info *jetstream.AccountInfo, c jetstream.StreamConfig) string {
	switch {
	case noRoom(api):
		return fmt.Sprintf("; %s has no room for it: raise the limit, or make streams smaller with nats.streams", strings.TrimSuffix(room(info, c.Replicas), ","))
	case api.ErrorCode == codeMaxStreams:
		return "; raise max_streams of the account: supernats needs 8, each bucket is one"
	case api.ErrorCode == codeNoPeers:
		return fmt.Sprintf("; %d replicas need as many nats-servers that run and have room: start them, or set nats.replicas lower", c.Replicas)
	}
	return ""
}

// bound gives a size to a stream that has none and is as an earlier version made
// it. It is no error if that is impossible: nothing is worse than before.
func (l Limits) bound(ctx context.Context, js jetstream.JetStream, have *jetstream.StreamInfo, want jetstream.StreamConfig) {
	c := have.Config
	if c.MaxBytes > 0 || c.Description != want.Description || !slices.Equal(c.Subjects, want.Subjects) {
		return
	}

	c.MaxBytes, c.Discard = want.MaxBytes, jetstream.DiscardOld
	// Nothing is dropped by it now.
	used := 2 * int64(have.State.Bytes)
	c.MaxBytes = max(c.MaxBytes, used)
	_, err := js.UpdateStream(ctx, c)
	for api := new(jetstream.APIError); errors.As(err, &api) && noRoom(api) && c.MaxBytes/2 >= max(used, minBytes); {
		c.MaxBytes /= 2
		_, err = js.UpdateStream(ctx, c)
	}
	if err != nil {
		l.say("stream %s has no size limit and cannot be given one, so it may fill the account: %v; try: nats stream edit %s --max-bytes=%d --discard=old", c.Name, err, c.Name, c.MaxBytes)
		return
	}
	l.say("stream %s had no size limit: it may take %v now, and drops the oldest when it is full", c.Name, schema.Size(c.MaxBytes))
}
