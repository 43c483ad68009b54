package look

import (
	"time"

	"supernats/consumer/history"
	"supernats/consumer/wording"
)

// BarCount is in how many parts a chart shows its time.
const BarCount = 48

// Chart is crashes over time, as bars.
type Chart struct {
	Bars  []Bar
	Total int
	// Known is false until all of the period was read.
	Known bool
	Label string
	// Class is "events" where it counts others than crashes.
	Class string
}

// Bar is one of a chart that is chartHeight high.
type Bar struct {
	X, Y, Width, Height int
	Quiet               bool
	Title               string
}

const (
	chartHeight = 34
	barWidth    = 8
	barStep     = 10
)

// NewChart draws counts that begin at a time.
func NewChart(counts []int, begin time.Time, each time.Duration) *Chart {
	c := &Chart{Known: true}
	highest := 1
	for _, n := range counts {
		c.Total += n
		highest = max(highest, n)
	}

	for i, n := range counts {
		height := max(1, n*(chartHeight-4)/highest)
		if n > 0 {
			height = max(3, height)
		}
		c.Bars = append(c.Bars, Bar{
			X: i * barStep, Y: chartHeight - height, Width: barWidth, Height: height, Quiet: n == 0,
			Title: begin.Add(time.Duration(i)*each).UTC().Format("2006-01-02 15:04 UTC") + ": " + Number(n),
		})
	}
	return c
}

// Width is that of the drawing.
func (c *Chart) Width() int { return len(c.Bars) * barStep }

// CrashesOf draws the crashes among events, over the time that they cover.
func CrashesOf(events []history.StoredEvent, now time.Time) (c *Chart, span string) {
	if len(events) == 0 {
		return nil, ""
	}
	begin := events[len(events)-1].Time.Time
	covered := now.Sub(begin)
	for _, fits := range []time.Duration{
		time.Hour, 6 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour,
		30 * 24 * time.Hour,
	} {
		if covered <= fits {
			covered = fits
			break
		}
	}

	each := max(covered/BarCount, time.Second)
	counts := make([]int, BarCount)
	for _, e := range events {
		if i := BarCount - 1 - int(now.Sub(e.Time.Time)/each); e.Data.IsCrash() && i >= 0 && i < BarCount {
			counts[i]++
		}
	}
	span = wording.Span(covered)
	c = NewChart(counts, now.Add(-each*BarCount), each)
	c.Label = wording.Count(c.Total, "crash", "crashes") + " in " + span
	return c, span
}

// EventsOf draws how many of the events on a page happened when.
func EventsOf(events []history.StoredEvent) (c *Chart, span string) {
	if len(events) < 2 {
		return nil, ""
	}
	begin, end := events[len(events)-1].Time.Time, events[0].Time.Time
	for _, e := range events { // they are in the order of the stream
		if e.Time.Before(begin) {
			begin = e.Time.Time
		}
		if e.Time.After(end) {
			end = e.Time.Time
		}
	}

	each := max(end.Sub(begin)/BarCount+1, time.Millisecond)
	counts := make([]int, BarCount)
	for _, e := range events {
		counts[min(int(e.Time.Sub(begin)/each), BarCount-1)]++
	}
	span = wording.Lasted(end.Sub(begin))
	c = NewChart(counts, begin, each)
	c.Label, c.Class = wording.Count(c.Total, "event", "events")+" in "+span, "events"
	return c, span
}
