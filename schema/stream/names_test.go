package stream_test

import (
	"strings"
	"testing"

	"supernats/schema/stream"
)

func TestReceiverConsumer(t *testing.T) {
	for _, c := range []struct{ receiver, consumer, back string }{
		{receiver: "pager", consumer: "notify_pager", back: "pager"},
		{receiver: "mail/Ops@example.com", consumer: "notify_mail=2Fops=40example=2Ecom", back: "mail/ops@example.com"},
	} {
		got := stream.ReceiverConsumer(c.receiver)
		back, ok := stream.ReceiverOf(got)
		if got != c.consumer || !ok || back != c.back {
			t.Errorf("%q: %q, %q, %v", c.receiver, got, back, ok)
		}
	}

	long := stream.ReceiverConsumer(strings.Repeat("x", 300))
	if back, ok := stream.ReceiverOf(long); !ok || "notify_"+back != long {
		t.Errorf("%q: %q, %v", long, back, ok)
	}
	if back, ok := stream.ReceiverOf(stream.EventsConsumer); ok || back != "" {
		t.Errorf("%q, %v", back, ok)
	}
}

func TestBucketNames(t *testing.T) {
	name := stream.OfBucket(stream.MutesBucket)
	bucket, ok := stream.BucketOf(name)
	if name != "KV_supervisor_mutes" || bucket != stream.MutesBucket || !ok {
		t.Errorf("%q, %q, %v", name, bucket, ok)
	}
	if bucket, ok := stream.BucketOf(stream.Events); ok {
		t.Errorf("%q", bucket)
	}
	if got := stream.StoredKey(stream.StateBucket, "web1.>"); got != "$KV.supervisor_state.web1.>" {
		t.Errorf("%q", got)
	}
	if got := stream.BridgeConsumer("web.1"); got != "bridge_web=2E1" {
		t.Errorf("%q", got)
	}
}
