package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// scanned is a message of a stream.
type scanned struct {
	header nats.Header
	// subject it was published on.
	subject string
	data    []byte
	seq     uint64
	stored  time.Time
}

// scanBatch is how many messages are asked for at a time.
const scanBatch = 256

// start is where reading begins: at a time, at a sequence, or with the oldest.
type start struct {
	time time.Time
	seq  uint64
}

// scan hands over the messages of a stream from a start on, oldest first. It reads without a consumer (ADR-31, batches of direct gets),
// for the right to create one on a stream is the right to change those of others.
func scan(ctx context.Context, js jetstream.JetStream, streamName string, from start, each func(*scanned) error) error {
	s, err := js.Stream(ctx, streamName)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w (it is created by `supernats consume`)", streamName, err)
	}
	state := s.CachedInfo().State
	if state.Msgs == 0 || state.LastTime.Before(from.time) || state.LastSeq < from.seq {
		return nil
	}
	if !s.CachedInfo().Config.AllowDirect {
		return fmt.Errorf("stream %s cannot be read directly: `nats stream edit %s --allow-direct` allows it", streamName, streamName)
	}
	request := map[string]any{"seq": max(1, state.FirstSeq, from.seq)}
	if !from.time.IsZero() {
		request = map[string]any{"start_time": from.time.UTC()}
	}
	for last := uint64(0); last < state.LastSeq; {
		request["batch"], request["next_by_subj"] = scanBatch, ">"
		n := 0
		if err := directGet(ctx, js, streamName, request, func(m *scanned) error {
			n, last = n+1, m.seq
			return each(m)
		}); err != nil {
			return fmt.Errorf("read stream %s: %w", streamName, err)
		}
		if n == 0 { // a follower knows no more, or the rest was deleted
			return nil
		}
		request = map[string]any{"seq": last + 1}
	}
	return nil
}

// directGet hands over the messages of one answer.
func directGet(ctx context.Context, js jetstream.JetStream, streamName string, request map[string]any, each func(*scanned) error) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	nc := js.Conn()
	sub, err := nc.SubscribeSync(nc.NewRespInbox())
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := nc.PublishRequest("$JS.API.DIRECT.GET."+streamName, sub.Subject, body); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		raw, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return err
		}
		switch status := raw.Header.Get("Status"); status {
		case "":
		case "204", "404": // end of the batch, nothing there
			return nil
		default:
			return errors.New(status + " " + raw.Header.Get("Description"))
		}
		m := &scanned{header: raw.Header, subject: raw.Header.Get(jetstream.SubjectHeader), data: raw.Data}
		if m.seq, err = strconv.ParseUint(raw.Header.Get(jetstream.SequenceHeader), 10, 64); err != nil {
			return fmt.Errorf("answer has no sequence: %w", err)
		}
		if m.stored, err = time.Parse(time.RFC3339Nano, raw.Header.Get(jetstream.TimeStampHeaer)); err != nil {
			return fmt.Errorf("answer has no time: %w", err)
		}
		if err := each(m); err != nil {
			return err
		}
	}
}
