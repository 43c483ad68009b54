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

// EnsureEvents creates the stream Events if it is missing, so that the others still find
// room in the account.
func EnsureEvents(ctx context.Context, js jetstream.JetStream, limits Limits) error {
	if _, err := js.Stream(ctx, Events); !errors.Is(err, jetstream.ErrStreamNotFound) {
		return lookUpError(Events, err)
	}
	info, err := js.AccountInfo(ctx)
	if err != nil {
		return fmt.Errorf("create stream %s: ask for the level of the JetStream API: %w", Events, err)
	}

	limits = limits.fitAccount(info, Names())
	_, err = limits.createStream(ctx, js, EventsConfig(limits, info.API.Level), info)
	return err
}

// EnsureAll creates every stream and bucket that is missing.
func EnsureAll(ctx context.Context, js jetstream.JetStream, limits Limits) error {
	existing, missing, err := lookUpAll(ctx, js)
	if err != nil {
		return err
	}
	limits.addSubjects(ctx, js, existing[Events])
	if len(missing) == 0 {
		return nil
	}
	info, err := js.AccountInfo(ctx)
	if err != nil {
		return fmt.Errorf("create stream %s: ask for the level of the JetStream API: %w", missing[0], err)
	}
	level := info.API.Level
	if level < levelMsgTTL {
		return fmt.Errorf("create stream %s: nats-server %s is too old, 2.11 or later is needed: "+
			"it knows no TTL of messages, by which silences and leases end",
			missing[0], js.Conn().ConnectedServerVersion())
	}
	if err := checkStreamCount(info, limits, missing); err != nil {
		return err
	}

	limits = limits.fitAccount(info, missing)
	for _, name := range Names() {
		c := limits.config(name, level)
		size := int64(0)
		if have := existing[name]; have == nil {
			if size, err = limits.createStream(ctx, js, c, info); err != nil {
				return err
			}
		} else if have.Config.Description == c.Description {
			size = have.Config.MaxBytes
		}
		if name == Events && size > 0 && limits.Sizes.Events == 0 {
			// It found room for no more, so neither do those that are still missing.
			limits.EventBytes = min(limits.EventBytes, size)
		}
	}
	return nil
}

// addSubjects has the stream Events store what this version publishes and the one that has
// created it did not. One that somebody else has made, or that cannot be changed, stays as
// it is: everything else works, and `supernats doctor` reports what it lacks.
func (l Limits) addSubjects(ctx context.Context, js jetstream.JetStream, have *jetstream.StreamInfo) {
	want := EventsConfig(Limits{}, 0)
	if have == nil || have.Config.Description != want.Description || !slices.Contains(have.Config.Subjects, AllEvents) {
		return
	}

	missing := MissingSubjects(want.Subjects, have.Config.Subjects)
	if len(missing) == 0 {
		return
	}
	c := have.Config
	c.Subjects = MergeSubjects(c.Subjects, missing)
	if _, err := js.UpdateStream(ctx, c); err != nil {
		l.reportf("stream %s cannot be changed to store %s: %v", Events, strings.Join(c.Subjects, ", "), err)
	}
}

// CheckRoom reports why this account cannot have the streams that are missing, as far as
// its limits say.
func CheckRoom(ctx context.Context, js jetstream.JetStream, info *jetstream.AccountInfo, limits Limits) error {
	_, missing, err := lookUpAll(ctx, js)
	if err != nil || len(missing) == 0 {
		return err
	}
	if err := checkStreamCount(info, limits, missing); err != nil {
		return err
	}

	limits = limits.fitAccount(info, missing)
	var total int64
	for _, name := range missing {
		total += limits.Bytes(name)
	}
	tier, tiered := tierOf(info, limits.Replicas)
	if !tiered {
		total *= int64(limits.Replicas)
	}

	most, used := tier.Limits.MaxStore, int64(max(tier.ReservedStore, tier.Store))
	if most > 0 && total > most-used {
		return fmt.Errorf("this account may store %v, of which %v is taken; the streams that are missing need %v: "+
			"raise its limit (max_file in nats-server.conf; nsc edit account --js-disk-storage), "+
			"or make them smaller with nats.streams",
			schema.Size(most), schema.Size(used), schema.Size(total))
	}
	return nil
}

// lookUpAll returns the streams that exist, by name, and the names of those that do not.
func lookUpAll(
	ctx context.Context, js jetstream.JetStream,
) (existing map[string]*jetstream.StreamInfo, missing []string, err error) {
	existing = map[string]*jetstream.StreamInfo{}
	for _, name := range Names() {
		switch s, err := js.Stream(ctx, name); {
		case err == nil:
			existing[name] = s.CachedInfo()
		case errors.Is(err, jetstream.ErrStreamNotFound):
			missing = append(missing, name)
		default:
			return nil, nil, lookUpError(name, err)
		}
	}
	return existing, missing, nil
}

func lookUpError(name string, err error) error {
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", name, err)
	}
	return nil
}

// checkStreamCount reports that an account may have too few streams, and how many it needs.
func checkStreamCount(info *jetstream.AccountInfo, limits Limits, missing []string) error {
	tier, _ := tierOf(info, limits.Replicas)
	most := tier.Limits.MaxStreams
	needed := tier.Streams + len(missing)
	if most <= 0 || needed <= most {
		return nil
	}
	return fmt.Errorf("create stream %s: this account may have %d streams and has %d; "+
		"%d more are needed, each bucket is one: %s: "+
		"raise its limit to %d (max_streams in nats-server.conf; nsc edit account --js-streams)",
		missing[0], most, tier.Streams, len(missing), strings.Join(missing, ", "), needed)
}

// createStream creates a stream, a smaller one if the server has no room for it, and
// returns its size; 0 if it existed. It reports what is not as the limits ask for.
func (l Limits) createStream(
	ctx context.Context, js jetstream.JetStream, c jetstream.StreamConfig, info *jetstream.AccountInfo,
) (size int64, err error) {
	wanted := Limits{Replicas: l.Replicas, EventBytes: l.EventBytes, Sizes: l.Sizes}.Bytes(c.Name)
	halved := false
	for {
		_, err := js.CreateStream(ctx, c)
		var api *jetstream.APIError
		switch {
		case err == nil:
			if halved && c.Name == Events {
				c.MaxBytes = leaveRoom(ctx, js, c)
			}
			if c.MaxBytes < wanted {
				l.reportf("stream %s may take %v, not %v: %s has no room for more "+
					"(nats.streams in the configuration file sets the size of each)",
					c.Name, schema.Size(c.MaxBytes), schema.Size(wanted), storageOf(info, l.Replicas))
			}
			return c.MaxBytes, nil
		case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse):
			return 0, nil // another program was faster, with other limits: those stay
		case !errors.As(err, &api):
			return 0, fmt.Errorf("create stream %s: %w", c.Name, err)
		}

		// Ask for less, as far as the limits allow that.
		switch smaller := wholeMiB(c.MaxBytes / 2); {
		case api.ErrorCode == codeNoReplicas && c.Replicas > 1:
			l.reportf("stream %s has 1 replica, not %d: this nats-server is in no cluster, "+
				"so whatever breaks it takes the stream with it", c.Name, c.Replicas)
			c.Replicas = 1
		case isFull(api) && l.Sizes.Written(c.Name) == 0 && smaller < c.MaxBytes:
			c.MaxBytes = smaller
			halved = true
		default:
			return 0, fmt.Errorf("create stream %s with at most %v: %w%s",
				c.Name, schema.Size(c.MaxBytes), err, advice(api, info, c))
		}
	}
}

// leaveRoom makes a stream that has just found room a quarter smaller, which is what the
// other streams need, and returns its size.
func leaveRoom(ctx context.Context, js jetstream.JetStream, c jetstream.StreamConfig) int64 {
	was := c.MaxBytes
	c.MaxBytes = wholeMiB(was / 4 * 3)
	if _, err := js.UpdateStream(ctx, c); err != nil {
		return was
	}
	return c.MaxBytes
}

// isFull reports whether the server has no room for a stream of the size.
func isFull(api *jetstream.APIError) bool {
	codes := []jetstream.ErrorCode{codeAccountLimit, codeInsufficient, codeStorageExceeded, codeMaxStreamBytes}
	return slices.Contains(codes, api.ErrorCode)
}

// storageOf names what bounds an account's storage.
func storageOf(info *jetstream.AccountInfo, replicas int) string {
	tier, _ := tierOf(info, replicas)
	most, each := tier.Limits.MaxStore, tier.Limits.StoreMaxStreamBytes
	switch {
	case each > 0:
		return fmt.Sprintf("this account, whose streams may take %v each and %s together,",
			schema.Size(each), sizeOr(most, "any size"))
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

// advice is what to do about an answer of the server, to stand after its error.
func advice(api *jetstream.APIError, info *jetstream.AccountInfo, c jetstream.StreamConfig) string {
	switch {
	case isFull(api):
		return fmt.Sprintf("; %s has no room for it: raise the limit, or make streams smaller with nats.streams",
			storageOf(info, c.Replicas))
	case api.ErrorCode == codeMaxStreams:
		return fmt.Sprintf("; raise max_streams of the account: supernats needs %d, each bucket is one", len(Names()))
	case api.ErrorCode == codeNoPeers:
		return fmt.Sprintf("; %d replicas need as many nats-servers that run and have room: "+
			"start them, or set nats.replicas lower", c.Replicas)
	case api.ErrorCode == codeSubjectsOverlap:
		return fmt.Sprintf("; another stream stores some of %s: find it by nats stream ls --subject=%s, "+
			"and remove it or its subjects", strings.Join(c.Subjects, ", "), c.Subjects[0])
	}
	return ""
}
