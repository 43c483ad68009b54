package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/schema"
	"supernats/schema/stream"
)

// A program that counts crashes by host. It would begin where it stopped, whenever
// it is started again.
func ExampleConsumer() {
	js, done := installationWithCrashes("web1", "web1", "db1")
	defer done()
	ctx, stop := context.WithCancel(context.Background())

	crashes := map[string]int{}
	seen := map[uint64]bool{} // a real one keeps both in one transaction: examples/03-go-sqlite
	c, err := consumer.New(consumer.Config{
		JetStream: js,
		Durable:   "crash_counter",
		Subjects:  consumer.Filter{Events: []string{"PROCESS_STATE_EXITED"}}.Subjects(),
		Handler: consumer.HandlerFunc(func(_ context.Context, m *consumer.Message) error {
			event, err := m.Event()
			if err != nil {
				return consumer.Park(err) // it will not become better
			}
			if !seen[m.Seq] && event.Data.UnexpectedExit() {
				seen[m.Seq] = true
				crashes[event.Data.Host]++
			}
			if m.Seq == 3 {
				stop()
			}
			return nil
		}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := c.Run(ctx); !errors.Is(err, context.Canceled) {
		fmt.Println(err)
	}
	fmt.Println(crashes)
	// Output: map[db1:1 web1:2]
}

// A Handler is asked again after an error of the moment; what no further try would
// fix is parked with its reason, and the others continue.
func ExamplePark() {
	js, done := installationWithCrashes("web1", "", "db1")
	defer done()
	ctx, stop := context.WithCancel(context.Background())

	c, err := consumer.New(consumer.Config{
		JetStream: js, Durable: "printer", BackOff: []time.Duration{time.Millisecond},
		Handler: consumer.HandlerFunc(func(_ context.Context, m *consumer.Message) error {
			event, err := m.Event()
			switch {
			case err != nil:
				return consumer.Park(err)
			case event.Data.Host == "web1" && m.Tries == 1:
				return errors.New("the printer is out of paper")
			}
			fmt.Printf("%s at try %d\n", event.Data.Host, m.Tries)
			if event.Data.Host == "web1" {
				stop()
			}
			return nil
		}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = c.Run(ctx)
	parked, err := js.Stream(context.Background(), stream.Parked)
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := parked.GetLastMsgForSubject(context.Background(), stream.ParkedSubject("printer"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Header.Get(consumer.HeaderParkedReason))
	// Unordered output:
	// db1 at try 1
	// web1 at try 2
	// schema: payload is no CloudEvent of ours: unexpected end of JSON input
}

func ExampleFilter() {
	f := consumer.Filter{Hosts: []string{"web*"}, Groups: []string{"api"}, Events: []string{"PROCESS_STATE"}}
	fmt.Println(f.Match(&schema.Event{Host: "web1", Group: "api", Process: "api_00", Event: "PROCESS_STATE_FATAL"}))
	fmt.Println(f.Match(&schema.Event{Host: "db1", Group: "api", Process: "api_00", Event: "PROCESS_STATE_FATAL"}))
	for _, subject := range f.Subjects() {
		fmt.Println(subject)
	}
	// Output:
	// true
	// false
	// supervisor.event.*.api.*.other.>
	// supervisor.event.*.api.*.process_state.>
}

// installationWithCrashes is a NATS server with an unexpected exit of each host;
// one without a name stands for a message of another program.
func installationWithCrashes(hosts ...string) (js jetstream.JetStream, done func()) {
	dir, err := os.MkdirTemp("", "example")
	must(err)
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
	must(err)
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		panic("nats-server does not start")
	}
	nc, err := nats.Connect(s.ClientURL())
	must(err)
	js, err = jetstream.New(nc)
	must(err)
	must(stream.EnsureAll(context.Background(), js, stream.Limits{Replicas: 1, EventBytes: 1 << 20}))
	for i, host := range hosts {
		no := false
		e := &schema.Event{
			Event: schema.ProcessStateExited, Host: host, Server: "supervisor", Boot: "4f0c6d1e2a90b7c3", Serial: uint64(i), Pool: "supernats",
			Group: "api", Process: "api_00", FromState: "RUNNING", Expected: &no, PID: 42,
		}
		payload, err := schema.Marshal(e.Envelope(time.Now()))
		must(err)
		if host == "" {
			payload = nil
		}
		_, err = js.Publish(context.Background(), e.Subject(), payload)
		must(err)
	}
	return js, func() {
		nc.Close()
		s.Shutdown()
		s.WaitForShutdown()
		must(os.RemoveAll(dir))
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
