package metrics

import (
	"fmt"
	"testing"
	"time"
)

// A new process is held at 0 for as long as each Prometheus needs to see that once.
func TestHowLongCountersAreHeld(t *testing.T) {
	// every lists the scrapes of some connections, by their intervals, for ten minutes.
	type scrape struct {
		at   time.Duration
		conn string
	}
	every := func(intervals ...time.Duration) (list []scrape) {
		for at := time.Duration(0); at < 10*time.Minute; at += time.Second {
			for i, interval := range intervals {
				if (at+time.Duration(i)*time.Second)%interval == 0 {
					list = append(list, scrape{at, fmt.Sprint("connection ", i)})
				}
			}
		}
		return list
	}
	anew := func(list []scrape) []scrape {
		for i := range list {
			list[i].conn = fmt.Sprint("connection ", i)
		}
		return list
	}
	for _, c := range []struct {
		name    string
		scrapes []scrape
		want    time.Duration
	}{
		{name: "nobody has asked before", scrapes: []scrape{{0, "a"}}, want: maxHold},
		{name: "one asks every second", scrapes: every(time.Second), want: 2 * time.Second},
		{name: "a pair asks at different times", scrapes: every(15*time.Second, 15*time.Second), want: 30 * time.Second},
		{name: "in different intervals", scrapes: every(time.Second, 20*time.Second), want: 40 * time.Second},
		{name: "every minute", scrapes: every(time.Minute), want: maxHold},
		{name: "once an hour", scrapes: []scrape{{0, "a"}, {time.Hour, "a"}}, want: maxHold},
		{name: "each time by another connection", scrapes: anew(every(15 * time.Second)), want: 30 * time.Second},
		{name: "a pair, each time by another connection", scrapes: anew(every(30*time.Second, 30*time.Second)), want: 58 * time.Second},
		{name: "somebody asks by hand too", scrapes: append(every(30*time.Second), scrape{10 * time.Minute, "hand"}), want: time.Minute},
		{name: "intervals of long ago", scrapes: append([]scrape{{0, "a"}, {40 * time.Second, "a"}}, scrape{20 * time.Minute, "a"}, scrape{20*time.Minute + 2*time.Second, "a"}, scrape{26 * time.Minute, "b"}, scrape{26*time.Minute + time.Second, "b"}, scrape{36 * time.Minute, "c"}, scrape{36*time.Minute + time.Second, "c"}), want: 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s scrapers
			var last time.Time
			for _, scrape := range c.scrapes {
				last = noon.Add(scrape.at)
				s.scraped(scrape.conn, last)
			}
			if got := last.Sub(s.newSince(last, last)); got != c.want {
				t.Errorf("held for %v, want %v", got, c.want)
			}
		})
	}
}

// What was shown once is not held again when intervals grow.
func TestCountersNeverFall(t *testing.T) {
	var s scrapers
	for at := range 10 {
		now := noon.Add(time.Duration(at) * time.Second)
		s.scraped("a", now)
		s.newSince(now, now)
	}
	before := s.newSince(noon.Add(9*time.Second), noon.Add(9*time.Second))
	later := noon.Add(50 * time.Second)
	s.scraped("a", later)
	if got := s.newSince(later, later); got.Before(before) {
		t.Errorf("new since %v, before %v", got, before)
	}
}

// Connections are forgotten.
func TestConnectionsAreBounded(t *testing.T) {
	var s scrapers
	for i := range 1000 {
		s.scraped(fmt.Sprint(i), noon.Add(time.Duration(i)*time.Millisecond))
	}
	if len(s.last) > maxConnections {
		t.Errorf("%d connections are remembered", len(s.last))
	}
	s.scraped("z", noon.Add(time.Hour))
	if len(s.last) != 1 {
		t.Errorf("%d connections are remembered after an hour", len(s.last))
	}
}
