package repeat_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"supernats/schema/repeat"
)

func TestLog(t *testing.T) {
	var out bytes.Buffer
	log := zerolog.New(&out)
	var failing repeat.Errors
	line := func(report func()) string {
		out.Reset()
		report()
		return strings.TrimSpace(out.String())
	}
	refused := errors.New("dial 10.0.0.1:4222: connection refused")

	for _, c := range []struct {
		name   string
		report func()
		want   string
	}{
		{
			name:   "nothing has failed",
			report: func() { failing.LogOver(log).Msg("works again") },
			want:   "",
		},
		{
			name:   "the first error is a warning",
			report: func() { failing.Log(log, refused).Msg("failed") },
			want:   `{"level":"warn","error":"dial 10.0.0.1:4222: connection refused","message":"failed"}`,
		},
		{
			name:   "the same one is for debugging",
			report: func() { failing.Log(log, refused).Msg("failed") },
			want:   `{"level":"debug","error":"dial 10.0.0.1:4222: connection refused","message":"failed"}`,
		},
		{
			name:   "it is over",
			report: func() { failing.LogOver(log).Msg("works again") },
			want:   `{"level":"info","failed_before":2,"lasted_ms":…,"message":"works again"}`,
		},
		{
			name:   "a success after none",
			report: func() { failing.AddOver(log.Info()).Msg("done") },
			want:   `{"level":"info","message":"done"}`,
		},
		{
			name: "a success after one",
			report: func() {
				failing.Failed(refused)
				failing.AddOver(log.Info()).Msg("done")
			},
			want: `{"level":"info","failed_before":1,"lasted_ms":…,"message":"done"}`,
		},
	} {
		head, tail, _ := strings.Cut(c.want, "…")
		if got := line(c.report); !strings.HasPrefix(got, head) || !strings.HasSuffix(got, tail) ||
			c.want == "" && got != "" {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
