package web

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"supernats/schema"
)

// What /readyz answers is for people and for a load balancer.
func TestReadyz(t *testing.T) {
	since := schema.Time{Time: time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)}
	for _, tc := range []struct {
		name   string
		status Status
		code   int
		lines  []string
	}{
		{
			name: "before the spool is open", status: Status{NotReady: errors.New("spool is not open yet")},
			code:  http.StatusServiceUnavailable,
			lines: []string{"not ready: spool is not open yet", "nats: no connection, events wait in the spool"},
		},
		{
			name: "all is well", status: Status{Connected: true, Spool: &Spool{Records: 3, Used: 0.014}},
			code: http.StatusOK,
			lines: []string{
				"ready", "spool: 3 records wait for JetStream, 1 % of what they may take is used", "nats: connected",
			},
		},
		{
			name: "a full disk",
			status: Status{
				Connected: true,
				Spool: &Spool{
					Records: 3, Memory: 2, Used: 0.95, Disk: errors.New("no space\nleft"), Shedding: true,
				},
				Troubles: []schema.Trouble{{Cause: "spool-full", Text: "it is\nfull", Fix: "make\troom", Since: since}},
			},
			code: http.StatusOK,
			lines: []string{
				"ready", "spool: 3 records wait for JetStream, 95 % of what they may take is used",
				"spool: 2 of them in memory, the disk takes none: no space left",
				"spool: nearly full, TICK and PROCESS_LOG are dropped and counted",
				"nats: connected",
				"trouble: spool-full since 2026-11-30T03:00:00Z: it is full (make room)",
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &Server{Status: func() Status { return tc.status }, Metrics: prometheus.NewRegistry()}
			w := httptest.NewRecorder()
			s.newHandler(zerolog.Nop()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
			if w.Code != tc.code {
				t.Errorf("status %d, want %d", w.Code, tc.code)
			}
			if diff := cmp.Diff(tc.lines, strings.Split(strings.TrimSpace(w.Body.String()), "\n")); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}
