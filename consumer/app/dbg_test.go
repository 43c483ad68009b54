package app
import ("context";"runtime/pprof";"testing";"supernats/schema/stream";"fmt";"os")
func (f *fleet) dbg(r *receiver) {
	pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
	s, err := f.js.Stream(context.Background(), stream.Alerts)
	if err != nil { fmt.Fprintln(os.Stderr, err); return }
	c, err := f.js.Consumer(context.Background(), stream.Alerts, deliveryName(r.name))
	if err != nil { fmt.Fprintln(os.Stderr, err); return }
	i := c.CachedInfo()
	fmt.Fprintf(os.Stderr, "stream %+v\nconsumer %+v\n got %d %v\n", s.CachedInfo().State, i, len(r.got()), r.batches()[max(0,len(r.batches())-5):])
}
var _ = testing.Short
