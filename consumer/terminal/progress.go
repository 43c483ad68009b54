package terminal

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"supernats/consumer/wording"
)

// Progress is a StatusLine that says how far something long is, how fast it goes and when it
// will end.
type Progress struct {
	*StatusLine
	what        string
	done, total atomic.Uint64
	// begun is when the first part was done, in nanoseconds since 1970; 0 before that.
	begun atomic.Int64
}

const (
	// maxBar is how many columns the bar has, minBar how few are still one.
	maxBar = 20
	minBar = 5
	// rateAfter is from when on a rate says something.
	rateAfter = time.Second
)

// NewProgress begins to show the progress of what is called so; printing is that of
// NewStatusLine. The caller closes it.
func NewProgress(what string, printing bool) *Progress {
	p := &Progress{what: what}
	p.StatusLine = NewStatusLine(printing, func(width int) string { return p.text(time.Now(), width) })
	return p
}

// Show sets how much of all is done. It may be called for every message.
func (p *Progress) Show(done, total uint64) {
	p.done.Store(done)
	p.total.Store(total)
	if p.begun.Load() == 0 {
		p.begun.Store(time.Now().UnixNano())
	}
}

// text says how far it is. A narrow line loses the bar, then the rate, then the counts.
func (p *Progress) text(now time.Time, width int) string {
	done, total := p.done.Load(), p.total.Load()
	if total == 0 {
		return ""
	}
	done = min(done, total)

	head := fmt.Sprintf("%s: %d %%", p.what, done*100/total)
	count := fmt.Sprintf("%d of %d", done, total)
	rate, left := "", ""
	if took := now.Sub(time.Unix(0, p.begun.Load())); took >= rateAfter && done > 0 {
		perSecond := float64(done) / took.Seconds()
		if perSecond >= 1 {
			rate = fmt.Sprintf("%.0f a second", perSecond)
		}
		left = wording.Compact(time.Duration(float64(total-done)/perSecond*float64(time.Second))) + " left"
	}

	whole := wording.Join(", ", head, count, rate, left)
	if width <= 0 {
		return whole
	}
	if room := width - textWidth(whole) - len(" []"); room >= minBar {
		return wording.Join(", ", head+bar(min(room, maxBar), done, total), count, rate, left)
	}
	for _, text := range []string{whole, wording.Join(", ", head, count, left), wording.Join(", ", head, left), head} {
		if textWidth(text) <= width {
			return text
		}
	}
	return Clip(head, width)
}

// bar draws how much is done in so many columns.
func bar(columns int, done, total uint64) string {
	full := int(done * uint64(columns) / total)
	return " [" + strings.Repeat("#", full) + strings.Repeat(".", columns-full) + "]"
}
