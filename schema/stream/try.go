package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// tryKey is a key of each bucket that never has a value: a mark that it is deleted is
	// written over the one before. No name of a host, a silence or a receiver becomes this
	// key: in a token, two digits follow a '='.
	tryKey = "write=test"
	// noSequence is one that no stream will ever reach.
	noSequence = 1 << 62
	// recently is how young the last message of a stream is that needs no try.
	recently = 2 * time.Second
	// tryTimeout is how long a server may take for a try.
	tryTimeout = 2 * time.Second
)

// Error codes of JetStream (nats-server/server/errors.json) that package jetstream does not
// name.
const (
	codeAccountLimit    = 10002
	codeNoPeers         = 10005
	codeInsufficient    = 10023
	codeMaxStreams      = 10027
	codeNoReplicas      = 10074
	codeSubjectsOverlap = 10065
	codeStorageExceeded = 10047
	codeMaxStreamBytes  = 10122
)

// WriteError says that a stream or bucket does not store what it gets.
type WriteError struct {
	// Stream is the name of the stream, see OfBucket for a bucket.
	Stream string
	// Full says that a limit is reached. Otherwise a write has failed in the server, which
	// refuses further ones until it is restarted.
	Full bool
	Err  error
}

func (e *WriteError) Error() string { return fmt.Sprintf("stream %s: %v", e.Stream, e.Err) }
func (e *WriteError) Unwrap() error { return e.Err }

// TryWrites reports whether the existing streams and buckets store what they get, with a
// *WriteError for the first one that does not. All that a try leaves is a deleted key in
// each bucket. A missing right, and a server that does not answer, are no errors here.
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
		return nil // others report a stream that is missing
	}
	info := s.CachedInfo()
	if err := fullBucketError(info); err != nil {
		return err
	}
	if info.TimeStamp.Sub(info.State.LastTime) < recently {
		return nil
	}

	short, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	if bucket, isBucket := BucketOf(name); isBucket {
		err = deleteTryKey(short, js, bucket)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return &WriteError{Stream: name, Err: errors.New("a write was not answered within 2 s")}
		}
	} else {
		// A message would be read by somebody. To delete one that does not exist needs the
		// same store, and changes nothing.
		err = deleteNothing(short, js, name)
	}
	return asWriteError(name, err)
}

// deleteTryKey writes the mark of a deleted key.
func deleteTryKey(ctx context.Context, js jetstream.JetStream, bucket string) error {
	subject := KeySubject(js, bucket, tryKey)
	before := js.Conn().LastError()
	header := nats.Header{"KV-Operation": {"PURGE"}, jetstream.MsgRollup: {jetstream.MsgRollupSubject}}
	_, err := js.PublishMsg(ctx, &nats.Msg{Subject: subject, Header: header}, jetstream.WithRetryAttempts(0))
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}

	// The server does not answer a write that is not allowed; it reports that to the
	// connection.
	last := js.Conn().LastError()
	if last != before && errors.Is(last, nats.ErrPermissionViolation) && containsFold(last.Error(), subject) {
		return nil
	}
	return err
}

func containsFold(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}

// fullBucketError reports a bucket that loses records, or is about to: they say what is now,
// not what was.
func fullBucketError(info *jetstream.StreamInfo) error {
	c := info.Config
	if _, isBucket := BucketOf(c.Name); !isBucket {
		return nil
	}
	if c.MaxBytes <= 0 || info.State.Bytes < uint64(c.MaxBytes)/100*95 {
		return nil
	}

	what := "drops its oldest records"
	if c.Discard == jetstream.DiscardNew {
		what = "refuses new records"
	}
	err := fmt.Errorf("it has used %d of its %d bytes and %s", info.State.Bytes, c.MaxBytes, what)
	return &WriteError{Stream: c.Name, Full: true, Err: err}
}

// deleteNothing asks for the deletion of a message that does not exist. (The client's own
// call hides the error code.)
func deleteNothing(ctx context.Context, js jetstream.JetStream, name string) error {
	request := fmt.Appendf(nil, `{"seq":%d}`, uint64(noSequence))
	reply, err := js.Conn().RequestWithContext(ctx, apiSubject(js, "STREAM.MSG.DELETE."+name), request)
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

// asWriteError returns nil for an answer that the server gives if its store works.
func asWriteError(name string, err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return nil // there was no answer: the connection, or a right that is missing
	}

	hasText := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(api.Description, p) })
	}
	switch {
	case api.ErrorCode == codeAccountLimit, api.ErrorCode == codeInsufficient, api.ErrorCode == codeStorageExceeded,
		hasText("maximum"):
		return &WriteError{Stream: name, Full: true, Err: err}
	case api.ErrorCode == jetstream.JSErrCodeStreamNotFound, hasText("not found", "no message found"):
		return nil
	case hasText("store EOF"): // the message does not exist, and none after it does
		return nil
	case hasText("not permitted", "sealed"):
		return nil
	}
	return &WriteError{Stream: name, Err: err}
}

// KeySubject is where to publish the value of a key of a bucket. The buckets of another
// domain are reached by a prefix only.
func KeySubject(js jetstream.JetStream, bucket, key string) string {
	subject := StoredKey(bucket, key)
	if prefix := apiSubject(js, ""); prefix != jetstream.DefaultAPIPrefix {
		return prefix + subject
	}
	return subject
}

// apiSubject is the subject of a request to the JetStream API.
func apiSubject(js jetstream.JetStream, request string) string {
	switch o := js.Options(); {
	case o.Domain != "":
		return "$JS." + o.Domain + ".API." + request
	case o.APIPrefix != "":
		return strings.TrimSuffix(o.APIPrefix, ".") + "." + request
	}
	return jetstream.DefaultAPIPrefix + request
}

// Keys returns how many keys a bucket has: also those that were deleted and have left a
// mark, but not the one of TryWrite.
func Keys(ctx context.Context, s jetstream.Stream) (uint64, error) {
	all := s.CachedInfo()
	if all.State.NumSubjects == 0 {
		return 0, nil
	}

	bucket, _ := BucketOf(all.Config.Name)
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(StoredKey(bucket, tryKey)))
	if err != nil {
		return 0, err
	}
	n := info.State.NumSubjects
	return n - min(n, uint64(len(info.State.Subjects))), nil
}
