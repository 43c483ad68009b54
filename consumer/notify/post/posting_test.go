package post_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/notify/notifytest"
	"supernats/consumer/notify/post"
)

// parted is a receiver that makes a request of each notification, with its alert as
// the body, and a server that answers by that.
func parted(t *testing.T, status func(alert string) int) (notify.Receiver, func() []string) {
	t.Helper()
	var mu sync.Mutex
	var got []string
	server := notifytest.ServeFunc(t, func(s *notifytest.Server, w http.ResponseWriter, _ *http.Request) {
		bodies := s.Bodies()
		alert := strings.Trim(string(bodies[len(bodies)-1]), `"`)
		mu.Lock()
		got = append(got, alert)
		mu.Unlock()
		code := status(alert)
		if code == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "7")
		}
		w.WriteHeader(code)
	})
	r, err := post.Posting{
		Name: "hook", Kind: "webhook", Settings: post.HTTPConfig{}.WithDefaults(),
		HTTP:    post.HTTPConfig{}.WithDefaults(),
		Address: func() (post.Request, error) { return post.Request{URL: server.URL, URLKey: "url"}, nil },
		Parts: func(batch []*notify.Notification) (parts []post.Part, err error) {
			for i, n := range batch {
				parts = append(parts, post.Part{Of: []int{i}, Bodies: []any{n.Data.Incident}})
			}
			return parts, nil
		},
	}.Receiver()
	if err != nil {
		t.Fatal(err)
	}
	return r, func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(got) }
}

func alertsNamed(names ...string) (batch []*notify.Notification) {
	for _, n := range names {
		batch = append(batch, notifytest.Firing(n))
	}
	return batch
}

// What one request is answered holds up no other, and what was accepted is known.
func TestParts(t *testing.T) {
	codes := map[string]int{"bad": 500, "gone": 404, "busy": 429, "gone2": 410}
	for _, c := range []struct {
		batch, tried []string
		taken        []int
		permanent    bool
		after        time.Duration
	}{
		{batch: []string{"a", "b"}, tried: []string{"a", "b"}, taken: nil, permanent: false, after: 0},
		{batch: []string{"a", "bad", "b", "c"}, tried: []string{"a", "bad", "b", "c"}, taken: []int{0, 2, 3}, permanent: false, after: 0},
		{batch: []string{"gone", "a", "gone2"}, tried: []string{"gone", "a", "gone2"}, taken: []int{1}, permanent: true, after: 0},
		{batch: []string{"gone", "a", "bad"}, tried: []string{"gone", "a", "bad"}, taken: []int{1}, permanent: false, after: 0},
		{batch: []string{"a", "busy", "b"}, tried: []string{"a", "busy"}, taken: []int{0}, permanent: false, after: 7 * time.Second},
		{batch: []string{"bad", "bad", "bad", "a"}, tried: []string{"bad", "bad", "bad"}, taken: nil, permanent: false, after: 0},
	} {
		r, got := parted(t, func(alert string) int {
			if code := codes[alert]; code != 0 {
				return code
			}
			return http.StatusOK
		})
		err := r.Notify(t.Context(), alertsNamed(c.batch...))
		wait, _ := notify.RetryAfter(err)
		if !slices.Equal(got(), c.tried) || !slices.Equal(notify.Taken(err), c.taken) || notify.IsPermanent(err) != c.permanent || wait != c.after {
			t.Errorf("%v: tried %v, taken %v, permanent %t, after %v: %v", c.batch, got(), notify.Taken(err), notify.IsPermanent(err), wait, err)
		}
		if ok := len(c.taken) == 0 && c.tried[0] != "bad"; ok != (err == nil) {
			t.Errorf("%v: %v", c.batch, err)
		}
	}
}

// An outage is what has nothing to do with what is sent: no connection.
func TestOutage(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	plain := notifytest.Serve(t, notifytest.Accept)
	cut := notifytest.ServeFunc(t, func(_ *notifytest.Server, w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = c.Close()
		}
	})
	for url, want := range map[string]bool{
		"http://" + closed.Addr().String(): true, "http://nowhere.invalid/": true, strings.Replace(plain.URL, "http:", "https:", 1): true, cut.URL: false,
	} {
		err := poster(t, post.HTTPConfig{}).Do(t.Context(), request(url))
		if err == nil || notify.IsOutage(err) != want {
			t.Errorf("%s: outage %t: %v", url, notify.IsOutage(err), err)
		}
	}
}

func TestMarks(t *testing.T) {
	err := fmt.Errorf("x: %w", notify.Partly(notify.Permanent(errors.New("no")), []int{1}))
	if !notify.IsPermanent(err) || notify.IsOutage(err) || !slices.Equal(notify.Taken(err), []int{1}) || err.Error() != "x: no" {
		t.Errorf("%v", err)
	}
	if err := errors.New("x"); notify.Partly(err, nil) != err || notify.Taken(err) != nil {
		t.Error("nothing was taken")
	}
}
