package page_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
)

// clock stands before the script of the worker, which every page loads too: time runs several
// times as fast, and skip(ms) lets some of it pass at once, in all pages of a browser and in
// their worker.
const clock = `{
	const speed = %d, now = Date.now, begun = now(), { setTimeout, setInterval } = self, others = new BroadcastChannel("time");
	let skipped = 0;
	Date.now = () => begun + speed * (now() - begun) + skipped;
	self.setTimeout = (f, ms) => setTimeout(f, ms / speed);
	self.setInterval = (f, ms) => setInterval(f, ms / speed);
	others.onmessage = event => { skipped += event.data; };
	self.skip = ms => { skipped += ms; others.postMessage(ms); };
}
`

// answersWithClock answers a request if it is for the script of the worker.
func (h *house) answersWithClock(w http.ResponseWriter, r *http.Request, speed int) bool {
	if !strings.HasPrefix(r.URL.Path, "/assets/worker-") {
		return false
	}
	answer := httptest.NewRecorder()
	h.handler.ServeHTTP(answer, r)
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	fmt.Fprintf(w, clock, speed)
	_, _ = w.Write(answer.Body.Bytes())
	return true
}
