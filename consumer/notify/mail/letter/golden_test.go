package letter

import (
	"strings"
	"testing"
	"time"

	"supernats/consumer/notify/mail/letter/custom"
	"supernats/consumer/notify/mail/lettertest"
	"supernats/schema"
)

// TestGolden compares the two bodies with those of testdata.
func TestGolden(t *testing.T) {
	lettertest.RunSamples(t, func(t *testing.T, name string, batch []*notification) {
		l := writeAt(t, batch, happened.Add(10*time.Minute))
		golden(t, name+".txt", l.Text)
		golden(t, name+".html", l.HTML)
	})
}

func BenchmarkBodies(b *testing.B) {
	n := firing(func(a *schema.Notification) {
		a.Events[0].Log = &schema.Log{Stderr: strings.Repeat("a line of some length in a log\n", 128)}
	})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := render(batch(n), &custom.Templates{}, identity, happened); err != nil {
			b.Fatal(err)
		}
	}
}
