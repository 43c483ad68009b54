package terminal

import (
	"os"
	"time"

	"github.com/schollz/progressbar/v3"

	"supernats/consumer/wording"
)

// Progress is a bar on stderr that says how far something long is, how fast it goes and
// when it will end. It is drawn on a terminal only.
type Progress struct {
	bar   *progressbar.ProgressBar
	begun time.Time
	shown bool
}

const (
	// progressAfter is for how long nothing is drawn: what is over by then needs no bar.
	progressAfter = 500 * time.Millisecond
	progressEvery = 100 * time.Millisecond
	progressWidth = 10
	maxProgress   = 20
)

// NewProgress returns a bar for what is called so. Where stdout is on the same screen and
// lines appear there, say so with printing: they show well enough that it goes on.
func NewProgress(what string, printing bool) *Progress {
	visible := Is(os.Stderr) && !(printing && Is(os.Stdout))
	bar := progressbar.NewOptions64(1,
		progressbar.OptionSetWriter(os.Stderr),
		progressbar.OptionSetDescription(wording.Cell(Clean(what), maxProgress)),
		progressbar.OptionSetVisibility(visible),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("msg"),
		progressbar.OptionSetWidth(progressWidth),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(progressEvery),
		progressbar.OptionClearOnFinish())
	return &Progress{bar: bar, begun: time.Now()}
}

// Show draws how much of all is done.
func (p *Progress) Show(done, total uint64) {
	if !p.shown && time.Since(p.begun) < progressAfter {
		return
	}
	p.shown = true
	p.bar.ChangeMax64(int64(total))
	_ = p.bar.Set64(int64(done))
}

// Close removes the bar.
func (p *Progress) Close() {
	if p.shown {
		_ = p.bar.Clear()
	}
	_ = p.bar.Exit()
}
