package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// tryKey is a key of each bucket that never has a value: a mark that it is deleted
	// is written over the one before. No name of a host, a silence or a receiver is
	// written like that: in a token, two digits follow a '='.
	tryKey = "write=test"
	// noSequence is one that no stream will ever reach.
	noSequence = 1 << 62
	// written is how young the last message of a stream is that needs no try.
	written = 2 * time.Second
)

// Error codes of JetStream (nats-server/server/errors.json) beside those that
// package jetstream names.
const (
	codeAccountLimit     = 10002
	codeNoPeers          = 10005
	codeInsufficient     = 10023
	codeMaxStreams       = 10027
	codeNoReplicas       = 10074
	codeStorageExceeded  = 10047
	codeMaxBytesRequired = 10113
	codeMaxStreamBytes   = 10122
)

// WriteError says that a stream or bucket does not store what it gets.
type WriteError struct {
	// Stream is the name of the stream, KV_… for a bucket.
	Stream string
	// Full says that a limit is reached; else a write has failed at the server, which
	// it keeps until the stream is opened again.
	Full bool
	Err  error
}

func (e *WriteError) Error() string { return fmt.Sprintf("stream %s: %v", e.Stream, e.Err) }
func (e *WriteError) Unwrap() error { return e.Err }

// TryWrites reports whether the streams and buckets that are there store what they
// get, with a *WriteError for the first that does not. Nothing is left of it but a
// deleted key in each bucket. What this user may not do, and a server that cannot
// be asked, is no error here.
func TryWrites(ctx context.Context, js jetstream.JetStream) error {
	for _, name := range Names() {
		if err := TryWrite(ctx, js, name); err != nil {
			return err
		}
	}
	return nil
}

// TryWrite is TryWrites for one stream.
func TryWrite(ctx context.Context, js jetstream.JetStream, name string) error {
	s, err := js.Stream(ctx, name)
	if err != nil {
		return nil // who needs it reports that
	}
	info := s.CachedInfo()
	if err := fullBucket(info); err != nil {
		return err
	}
	if info.TimeStamp.Sub(info.State.LastTime) < written {
		return nil
	}

	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	bucket, isBucket := strings.CutPrefix(name, bucketPrefix)
	if !isBucket {
		// A message would be read by somebody. To delete one that is not there needs the
		// same store, and changes nothing.
		return tryError(name, deleteNothing(short, js, name))
	}
	subject, before := KeySubject(js, bucket, tryKey), js.Conn().LastError()
	_, err = js.PublishMsg(short, &nats.Msg{
		Subject: subject,
		Header:  nats.Header{"KV-Operation": {"PURGE"}, jetstream.MsgRollup: {jetstream.MsgRollupSubject}},
	}, jetstream.WithRetryAttempts(0))
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		// What is not allowed is not answered either; the connection hears of it.
		if last := js.Conn().LastError(); last != before && errors.Is(last, nats.ErrPermissionViolation) && strings.Contains(strings.ToLower(last.Error()), strings.ToLower(subject)) {
			return nil
		}
		return &WriteError{Stream: name, Err: errors.New("a write was not answered within 2 s")}
	}
	return tryError(name, err)
}

// fullBucket reports a bucket that drops records, or is about to: they are what is
// now, not what was.
func fullBucket(info *jetstream.StreamInfo) error {
	c := info.Config
	if !strings.HasPrefix(c.Name, bucketPrefix) || c.MaxBytes <= 0 || info.State.Bytes < uint64(c.MaxBytes)/100*95 {
		return nil
	}
	what := "drops its oldest records"
	if c.Discard == jetstream.DiscardNew {
		what = "refuses new records"
	}
	return &WriteError{Stream: c.Name, Full: true, Err: fmt.Errorf("it has used %d of its %d bytes and %s", info.State.Bytes, c.MaxBytes, what)}
}

// deleteNothing asks for the deletion of a message that there is not. (The client's
// own call hides the error code.)
func deleteNothing(ctx context.Context, js jetstream.JetStream, name string) error {
	reply, err := js.Conn().RequestWithContext(ctx, apiSubject(js, "STREAM.MSG.DELETE."+name), fmt.Appendf(nil, `{"seq":%d}`, uint64(noSequence)))
	if err != nil {
		return err
	}
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return err
	}
	if answer.Error == nil {
		return nil
	}
	return answer.Error
}

// tryError returns nil for an answer that a store gives which works.
func tryError(name string, err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return nil // there was no answer: the connection, or a right that is missing
	}
	text := api.Description
	switch {
	case api.ErrorCode == codeAccountLimit, api.ErrorCode == codeInsufficient, api.ErrorCode == codeStorageExceeded, strings.Contains(text, "maximum"):
		return &WriteError{Stream: name, Full: true, Err: err}
	case api.ErrorCode == jetstream.JSErrCodeStreamNotFound, strings.Contains(text, "not found"), strings.Contains(text, "no message found"),
		strings.Contains(text, "store EOF"), // there is no such message, and none after it
		strings.Contains(text, "not permitted"), strings.Contains(text, "sealed"):
		return nil
	}
	return &WriteError{Stream: name, Err: err}
}

// KeySubject is the subject of a key of a bucket, for this JetStream: that of
// another domain is reached by its prefix only.
func KeySubject(js jetstream.JetStream, bucket, key string) string {
	subject := StoredKey(bucket, key)
	if prefix := apiSubject(js, ""); prefix != jetstream.DefaultAPIPrefix {
		return prefix + subject
	}
	return subject
}

// apiSubject is the subject of a request to JetStream.
func apiSubject(js jetstream.JetStream, request string) string {
	switch o := js.Options(); {
	case o.Domain != "":
		return "$JS." + o.Domain + ".API." + request
	case o.APIPrefix != "":
		return strings.TrimSuffix(o.APIPrefix, ".") + "." + request
	}
	return jetstream.DefaultAPIPrefix + request
}

// Keys returns how many keys a bucket has, those that were deleted and have left a mark
// too, without that of tries.
func Keys(ctx context.Context, s jetstream.Stream) (uint64, error) {
	all := s.CachedInfo()
	if all.State.NumSubjects == 0 {
		return 0, nil
	}
	bucket := strings.TrimPrefix(all.Config.Name, bucketPrefix)
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(StoredKey(bucket, tryKey)))
	if err != nil {
		return 0, err
	}
	n := info.State.NumSubjects
	return n - min(n, uint64(len(info.State.Subjects))), nil
}
