package history

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Message is a message of a stream.
type Message struct {
	Header nats.Header
	// Subject is the one that it was published on.
	Subject string
	Data    []byte
	Seq     uint64
	Stored  time.Time
}

// scanBatch is how many messages are requested at a time.
const scanBatch = 256

// directGetTimeout is how long one batch may take.
const directGetTimeout = 10 * time.Second

// Position in a stream where reading starts: at a time, at a sequence, or, if it is zero,
// with the oldest message.
type Position struct {
	Time time.Time
	Seq  uint64
	// Subject is what to read, with wildcards; "" reads everything.
	Subject string
}

// ErrEnough ends a scan before the end of the stream.
var ErrEnough = errors.New("enough was read")

// Scan calls each for the messages of a stream from a Position on, oldest first, until it
// returns ErrEnough. It reads without a consumer (ADR-31, batches of direct gets): the right
// to create a consumer on a stream is the right to change those of others.
func (r *Reader) Scan(ctx context.Context, streamName string, from Position, each func(*Message) error) error {
	s, err := r.JS.Stream(ctx, streamName)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w (it is created by `supernats consume`)", streamName, err)
	}
	state := s.CachedInfo().State
	if state.Msgs == 0 || state.LastTime.Before(from.Time) || state.LastSeq < from.Seq {
		return nil
	}
	if !s.CachedInfo().Config.AllowDirect {
		return fmt.Errorf("stream %s cannot be read directly: `nats stream edit %s --allow-direct` allows it",
			streamName, streamName)
	}

	request := map[string]any{"seq": max(1, state.FirstSeq, from.Seq)}
	if !from.Time.IsZero() {
		request = map[string]any{"start_time": from.Time.UTC()}
	}
	for first, last := uint64(0), uint64(0); last < state.LastSeq; {
		request["batch"], request["next_by_subj"] = scanBatch, cmp.Or(from.Subject, ">")
		n := 0
		err := r.directGet(ctx, streamName, request, func(m *Message) error {
			n++
			last = m.Seq
			first = cmp.Or(first, m.Seq)
			if r.Progress != nil {
				r.Progress(m.Seq-first+1, state.LastSeq-first+1)
			}
			return each(m)
		})
		if errors.Is(err, ErrEnough) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read stream %s: %w", streamName, err)
		}
		if n == 0 { // a follower holds no more, or the rest was deleted
			return nil
		}
		request = map[string]any{"seq": last + 1}
	}
	return nil
}

// directGet calls each for the messages of one answer.
func (r *Reader) directGet(
	ctx context.Context, streamName string, request map[string]any, each func(*Message) error,
) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	nc := r.JS.Conn()
	sub, err := nc.SubscribeSync(nc.NewRespInbox())
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := nc.PublishRequest("$JS.API.DIRECT.GET."+streamName, sub.Subject, body); err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(ctx, directGetTimeout)
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

		m, err := parseStored(raw)
		if err != nil {
			return err
		}
		if err := each(m); err != nil {
			return err
		}
	}
}

// parseStored reads a message from the answer to a direct get.
func parseStored(raw *nats.Msg) (*Message, error) {
	m := &Message{Header: raw.Header, Subject: raw.Header.Get(jetstream.SubjectHeader), Data: raw.Data}

	var err error
	if m.Seq, err = strconv.ParseUint(raw.Header.Get(jetstream.SequenceHeader), 10, 64); err != nil {
		return nil, fmt.Errorf("answer has no sequence: %w", err)
	}
	if m.Stored, err = time.Parse(time.RFC3339Nano, raw.Header.Get(jetstream.TimeStampHeaer)); err != nil {
		return nil, fmt.Errorf("answer has no time: %w", err)
	}
	return m, nil
}
