package testalert

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/inspect"
)

func TestChoose(t *testing.T) {
	queues := []inspect.Queue{{Receiver: "chat"}, {Receiver: "mail/a@example.com"}, {Receiver: "mail/b@example.com"}}
	for _, c := range []struct {
		name       string
		receiver   string
		configured []string
		queues     []string // that are chosen
		notify     []string
	}{
		{
			name:   "nothing asked, nothing configured: all",
			queues: []string{"chat", "mail/a@example.com", "mail/b@example.com"},
		},
		{
			name:       "those of the configuration",
			configured: []string{"Mail"},
			queues:     []string{"mail/a@example.com", "mail/b@example.com"},
			notify:     []string{"Mail"},
		},
		{
			name:       "one receiver, named as it is configured",
			receiver:   "CHAT",
			configured: []string{"mail", "Chat"},
			queues:     []string{"chat"},
			notify:     []string{"Chat"},
		},
		{
			name:     "one address",
			receiver: "mail/b@example.com",
			queues:   []string{"mail/b@example.com"},
			notify:   []string{"mail"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			chosen, notify, err := Choose(queues, c.receiver, c.configured)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, q := range chosen {
				got = append(got, q.Receiver)
			}
			if d := cmp.Diff(c.queues, got); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(c.notify, notify); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestChooseFails(t *testing.T) {
	queues := []inspect.Queue{{Receiver: "chat"}}
	for _, c := range []struct {
		name       string
		queues     []inspect.Queue
		receiver   string
		configured []string
		want       string
	}{
		{name: "no receiver at all", want: "there is no receiver"},
		{name: "an unknown one", queues: queues, receiver: "pager", want: "receiver pager has no queue; those that have one: chat."},
		{name: "a configured one without a queue", configured: []string{"mail"}, want: "receiver mail has no queue; those that have one: none."},
	} {
		if _, _, err := Choose(c.queues, c.receiver, c.configured); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}
