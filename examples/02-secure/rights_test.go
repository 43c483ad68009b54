package secure

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema/natsconn"
	"supernats/schema/stream"
)

// client is a connection of one user, as its program makes it.
type client struct {
	*testing.T
	nc      *nats.Conn
	inbox   string
	answers chan *nats.Msg
	denied  chan string
}

func (in *installation) client(t *testing.T, user string) *client {
	t.Helper()
	prefix := "_INBOX"
	if user == "web1" || user == "db1" {
		prefix += "_" + user
	}
	c := &client{T: t, inbox: prefix + "." + user, answers: make(chan *nats.Msg, 64), denied: make(chan string, 64)}
	var err error
	c.nc, err = in.users[user].Connect(user, nats.RetryOnFailedConnect(false), nats.CustomInboxPrefix(prefix),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrPermissionViolation) {
				c.denied <- err.Error()
			}
		}))
	if err == nil {
		_, err = c.nc.ChanSubscribe(c.inbox, c.answers)
	}
	if err != nil {
		t.Fatalf("connect as %s: %v", user, err)
	}
	t.Cleanup(c.nc.Close)
	return c
}

// denials does something and returns what the server denied of it: it says so in
// order, so a last attempt that is denied to everybody ends the list.
func (c *client) denials(do func() error) (list []string) {
	c.Helper()
	const nobody = "nobody.may"
	if err := errors.Join(do(), c.nc.Publish(nobody, nil)); err != nil {
		c.Fatal(err)
	}
	for {
		select {
		case d := <-c.denied:
			if strings.Contains(d, nobody) {
				return list
			}
			list = append(list, d)
		case <-time.After(20 * time.Second):
			c.Fatal("the server denies nothing")
		}
	}
}

// request returns the answer, and whether the request was denied.
func (c *client) request(subject, body string) (answer string, denied bool) {
	c.Helper()
	list := c.denials(func() error { return c.nc.PublishRequest(subject, c.inbox, []byte(body)) })
	if len(list) > 0 {
		if !strings.Contains(list[0], fmt.Sprintf("Publish to %q", subject)) {
			c.Errorf("denial is %s", list[0])
		}
		return "", true
	}
	select {
	case m := <-c.answers:
		return m.Header.Get("Status") + string(m.Data), false
	case <-time.After(20 * time.Second):
		c.Fatalf("no answer to %s", subject)
		return "", false
	}
}

// attempts are things that one user may not do and another one may.
type attempts struct {
	user, other string
	requests    []request
}

type request struct{ subject, body string }

const api = "$JS.API."

// consumerOf is the body of a request to create one on SUPERVISOR.
func consumerOf(name, rest string) string {
	return `{"stream_name":"SUPERVISOR","config":{"name":"` + name + `","ack_policy":"none"` + rest + `}}`
}

func TestRights(t *testing.T) {
	in := install(t, false)
	users := map[string]*client{}
	for user := range in.users {
		users[user] = in.client(t, user)
	}
	js, err := jetstream.New(users["consume"].nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.EnsureAll(t.Context(), js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	ofDB1 := consumerOf("bridge_db1", `,"filter_subject":"supervisor.*.db1.>"`)
	unfiltered := consumerOf("bridge_web1", "")
	for _, a := range []attempts{
		// To speak for another host, or for the consumer.
		{user: "web1", other: "db1", requests: []request{
			{subject: "supervisor.event.db1.api.api.process_state.exited", body: "{}"},
			{subject: "supervisor.snapshot.db1", body: "{}"},
			{subject: "supervisor.bridge.db1.started", body: "{}"},
		}},
		{user: "db1", other: "web1", requests: []request{
			{subject: "supervisor.event.web1.api.api.process_state.exited", body: "{}"},
		}},
		{user: "web1", other: "consume", requests: []request{
			{subject: "supervisor.alert.web1.api.api.fatal", body: "{}"},
			{subject: "supervisor.parked.supernats", body: "{}"},
			{subject: "$KV.supervisor_state.web1.api.api", body: "{}"},
		}},
		{user: "consume", other: "web1", requests: []request{
			{subject: "supervisor.event.web1.api.api.process_state.exited", body: "{}"},
		}},
		{user: "people", other: "web1", requests: []request{
			{subject: "supervisor.event.web1.api.api.process_state.exited", body: "{}"},
		}},
		{user: "people", other: "consume", requests: []request{
			{subject: "supervisor.alert.web1.api.api.fatal", body: "{}"},
			{subject: "$KV.supervisor_state.web1.api.api", body: "{}"},
			{subject: "$KV.supervisor_alerts.fatal.web1.api.api", body: "{}"},
			{subject: "$KV.supervisor_leases.consume", body: "{}"},
			{subject: "supervisor.parked.notify_chat", body: "{}"},
		}},
		{user: "web1", other: "people", requests: []request{
			{subject: "$KV.supervisor_mutes.0abc", body: "{}"},
			{subject: "supervisor.ack.web1.api.api.fatal", body: "{}"},
			{subject: "supervisor.ack.db1.api.api.fatal", body: "{}"},
		}},
		// To read.
		{user: "web1", other: "people", requests: []request{
			{subject: api + "INFO"},
			{subject: api + "STREAM.NAMES"},
			{subject: api + "STREAM.INFO.SUPERVISOR"},
			{subject: api + "STREAM.MSG.GET.SUPERVISOR", body: `{"seq":1}`},
			{subject: api + "STREAM.MSG.GET.SUPERVISOR", body: `{"last_by_subj":"supervisor.event.web1.>"}`},
			{subject: api + "DIRECT.GET.SUPERVISOR", body: `{"seq":1}`},
			{subject: api + "DIRECT.GET.SUPERVISOR.supervisor.event.db1.>"},
			{subject: api + "STREAM.INFO.KV_supervisor_state"},
			{subject: api + "DIRECT.GET.KV_supervisor_state.$KV.supervisor_state.web1.api.api"},
			{subject: api + "DIRECT.GET.SUPERVISOR_ALERTS", body: `{"seq":1,"batch":9,"next_by_subj":">"}`},
			{subject: api + "DIRECT.GET.SUPERVISOR_PARKED", body: `{"seq":1,"batch":9,"next_by_subj":">"}`},
			{subject: api + "DIRECT.GET.KV_supervisor_alerts.$KV.supervisor_alerts.fatal.web1.api.api"},
			{subject: api + "DIRECT.GET.KV_supervisor_leases.$KV.supervisor_leases.consume"},
			{subject: api + "DIRECT.GET.KV_supervisor_mutes.$KV.supervisor_mutes.0abc"},
		}},
		{user: "web1", other: "db1", requests: []request{
			{subject: api + "CONSUMER.CREATE.SUPERVISOR.bridge_db1.supervisor.*.db1.>", body: ofDB1},
			{subject: api + "CONSUMER.MSG.NEXT.SUPERVISOR.bridge_db1", body: `{"batch":1,"no_wait":true}`},
		}},
		{user: "web1", other: "people", requests: []request{
			{subject: api + "CONSUMER.INFO.SUPERVISOR.bridge_db1"},
		}},
		{user: "web1", other: "db1", requests: []request{
			{subject: api + "CONSUMER.DELETE.SUPERVISOR.bridge_db1"},
		}},
		{user: "web1", other: "consume", requests: []request{
			{subject: api + "CONSUMER.CREATE.SUPERVISOR.bridge_web1", body: unfiltered},
			{subject: api + "CONSUMER.CREATE.SUPERVISOR", body: consumerOf("", "")},
		}},
		{user: "web1", other: "people", requests: []request{
			{
				subject: api + "CONSUMER.CREATE.SUPERVISOR.x.supervisor.>",
				body:    consumerOf("x", `,"filter_subject":"supervisor.>"`),
			},
		}},
		// To destroy.
		{user: "web1", other: "consume", requests: []request{
			{subject: api + "STREAM.MSG.DELETE.SUPERVISOR", body: `{"seq":1}`},
			{subject: api + "STREAM.PURGE.SUPERVISOR", body: `{"filter":"supervisor.event.db1.>"}`},
		}},
		{user: "people", other: "consume", requests: []request{
			{subject: api + "STREAM.MSG.DELETE.SUPERVISOR", body: `{"seq":2}`},
			{subject: api + "STREAM.PURGE.SUPERVISOR"},
			{
				subject: api + "CONSUMER.CREATE.SUPERVISOR.supernats",
				body:    `{"stream_name":"SUPERVISOR","config":{"durable_name":"supernats","ack_policy":"all"}}`,
			},
			{subject: api + "CONSUMER.MSG.NEXT.SUPERVISOR.supernats", body: `{"batch":1,"no_wait":true}`},
			{subject: api + "CONSUMER.DELETE.SUPERVISOR.supernats"},
			{
				subject: api + "CONSUMER.CREATE.SUPERVISOR_ALERTS.notify_chat",
				body:    `{"stream_name":"SUPERVISOR_ALERTS","config":{"durable_name":"notify_chat","ack_policy":"all"}}`,
			},
			{subject: api + "CONSUMER.MSG.NEXT.SUPERVISOR_ALERTS.notify_chat", body: `{"batch":1,"no_wait":true}`},
			{subject: api + "CONSUMER.DELETE.SUPERVISOR_ALERTS.notify_chat"},
		}},
		{user: "web1", other: "consume", requests: []request{
			{subject: api + "STREAM.DELETE.SUPERVISOR_ALERTS"},
			{
				subject: api + "STREAM.CREATE.SUPERVISOR_ALERTS",
				body:    `{"name":"SUPERVISOR_ALERTS","subjects":["supervisor.alert.>"]}`,
			},
		}},
		{user: "people", other: "consume", requests: []request{
			{subject: api + "STREAM.DELETE.SUPERVISOR"},
		}},
	} {
		for _, r := range a.requests {
			t.Run(a.user+" "+r.subject, func(t *testing.T) {
				before, lastBefore, was := stored(t, js, r.subject)
				if answer, denied := users[a.user].request(r.subject, r.body); !denied {
					t.Errorf("%s may do it: %s", a.user, answer)
				}
				if after, last, is := stored(t, js, r.subject); after != before || last != lastBefore {
					t.Errorf("the streams held%s, now%s", was, is)
				}
				answer, denied := users[a.other].request(r.subject, r.body)
				if denied || strings.Contains(answer, `"error"`) ||
					strings.Contains(r.subject, ".GET") && strings.HasPrefix(answer, "404") {
					t.Errorf("%s may not do it: %s", a.other, answer)
				}
				if _, last, is := stored(t, js, r.subject); !strings.HasPrefix(r.subject, api) && last != lastBefore+1 {
					t.Errorf("the streams held%s, now%s: %s stored none, and was answered %q", was, is, a.other, answer)
				}
			})
		}
	}
}

// stored returns the last sequence of each stream and how many messages it holds, but
// for buckets whose keys expire and that a subject does not name.
func stored(t *testing.T, js jetstream.JetStream, subject string) (n, last uint64, all string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	streams := []string{stream.Events, stream.Alerts, stream.Parked}
	for _, bucket := range []string{
		stream.StateBucket, stream.HostsBucket, stream.AlertsBucket, stream.MutesBucket, stream.LeasesBucket,
	} {
		streams = append(streams, "KV_"+bucket)
	}
	for _, name := range streams {
		s, err := js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		info := s.CachedInfo()
		if bucket := strings.TrimPrefix(name, "KV_"); info.Config.AllowMsgTTL && bucket != name &&
			!strings.Contains(subject, bucket) {
			continue
		}
		n, last = n+info.State.Msgs, last+info.State.LastSeq
		all += fmt.Sprintf(" %s: %d, %d", name, info.State.Msgs, info.State.LastSeq)
	}
	return n, last, all
}

// The subject on which a host may create its consumer does not let it read more.
func TestConsumerOfAHost(t *testing.T) {
	in := install(t, false)
	js, err := jetstream.New(in.client(t, "consume").nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.EnsureAll(t.Context(), js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	web1 := in.client(t, "web1")
	const own = "supervisor.*.web1.>"
	for _, c := range []struct{ subject, body string }{
		{subject: own, body: consumerOf("bridge_web1", `,"filter_subject":"supervisor.>"`)},
		{subject: own, body: consumerOf("bridge_web1", `,"filter_subject":"supervisor.*.db1.>"`)},
		{
			subject: own,
			body:    consumerOf("bridge_web1", `,"filter_subjects":["supervisor.*.web1.>","supervisor.*.db1.>"]`),
		},
		{subject: own, body: consumerOf("bridge_web1", ``)},
		{
			subject: own,
			body:    consumerOf("bridge_web1", `,"filter_subject":"supervisor.*.web1.>","durable_name":"supernats"`),
		},
		{subject: "supervisor.>.web1.x", body: consumerOf("bridge_web1", `,"filter_subject":"supervisor.>.web1.x"`)},
		{
			subject: own,
			body: strings.Replace(consumerOf("bridge_web1", `,"filter_subject":"supervisor.*.web1.>"`),
				`"SUPERVISOR"`, `"KV_supervisor_state"`, 1),
		},
	} {
		if answer, denied := web1.request(api+"CONSUMER.CREATE.SUPERVISOR.bridge_web1."+c.subject, c.body); denied ||
			!strings.Contains(answer, `"error"`) {
			t.Errorf("%s: %s", c.body, answer)
		}
	}
	right := consumerOf("bridge_web1", `,"filter_subject":"supervisor.*.web1.>"`)
	if answer, denied := web1.request(api+"CONSUMER.CREATE.SUPERVISOR.bridge_web1."+own, right); denied ||
		strings.Contains(answer, `"error"`) {
		t.Errorf("%s: %s", right, answer)
	}
}

func TestSubscriptions(t *testing.T) {
	in := install(t, false)
	for _, s := range []struct {
		user, subject string
		may           bool
	}{
		{user: "web1", subject: ">"},
		{user: "web1", subject: "supervisor.>"},
		{user: "web1", subject: "supervisor.event.web1.>"},
		{user: "web1", subject: "$KV.supervisor_state.>"},
		{user: "web1", subject: "$JS.EVENT.ADVISORY.>"},
		{user: "web1", subject: "_INBOX.>"},
		{user: "web1", subject: "_INBOX_db1.>"},
		{user: "db1", subject: "_INBOX_web1.>"},
		{user: "people", subject: "supervisor.>"},
		{user: "people", subject: "_INBOX_db1.>"},
		{user: "web1", subject: "_INBOX_web1.x.*", may: true},
		{user: "db1", subject: "_INBOX_db1.>", may: true},
		{user: "people", subject: "_INBOX.x.*", may: true},
	} {
		c := in.client(t, s.user)
		list := c.denials(func() error {
			_, err := c.nc.SubscribeSync(s.subject)
			return err
		})
		if may := len(list) == 0; may != s.may {
			t.Errorf("%s may subscribe to %s: %v; denied was %q", s.user, s.subject, may, list)
		}
	}
}

// Nobody else is let in, and no user without TLS.
func TestNobody(t *testing.T) {
	in, other := install(t, true), install(t, false)
	for name, change := range map[string]func(*natsconn.Settings){
		"without a key":         func(s *natsconn.Settings) { s.NkeyFile = "" },
		"with a key of another": func(s *natsconn.Settings) { s.NkeyFile = other.users["web1"].NkeyFile },
		"without certificate":   func(s *natsconn.Settings) { s.TLS.Cert, s.TLS.Key = "", "" },
		"of another authority":  func(s *natsconn.Settings) { s.TLS.CA = other.users["web1"].TLS.CA },
	} {
		s := in.users["web1"]
		change(&s)
		if nc, err := s.Connect("nobody", nats.RetryOnFailedConnect(false)); err == nil {
			nc.Close()
			t.Errorf("connected %s", name)
		}
	}
	for user := range in.users {
		in.client(t, user)
	}
}
