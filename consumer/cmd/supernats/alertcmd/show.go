package alertcmd

import (
	"context"
	"os"
	"strings"
	"time"

	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/cmd/supernats/tables"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/consumer/timeline"
)

// formMarkdown is a form that no other command has.
const formMarkdown = "md"

type alertsShow struct {
	Alert  string `arg:"" optional:"" help:"${help_alert}"`
	Output string `short:"o" enum:"table,json,jsonl,md,auto" default:"auto" env:"SUPERNATS_OUTPUT" help:"${help_form}"`
}

// Examples are shown below the help.
func (*alertsShow) Examples() []string {
	return []string{
		"supernats alerts show unexpected-exit/web1",
		"supernats alerts show web1/4f0c6d1e2a90b7c3/1234 -o md > post-mortem.md",
	}
}

// Run prints the timeline of one alert.
func (s *alertsShow) Run(ctx context.Context, c *frame.Flags) error {
	return c.WithReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
		bar := terminal.NewProgress("alerts", false)
		defer bar.Close()
		r.Progress = bar.Show
		id, err := findAlert(ctx, r, s.Alert)
		if err != nil {
			return err
		}
		in, err := r.Incident(ctx, id)
		if err != nil {
			return err
		}
		bar.Close()
		return s.print(timeline.Of(in), time.Now())
	})
}

func (s *alertsShow) print(story *timeline.Timeline, now time.Time) error {
	switch form := terminal.FormFor(os.Stdout, s.Output); form {
	case formMarkdown:
		return printMarkdown(os.Stdout, story, now)
	case terminal.FormTable:
		return tables.PrintTimeline(os.Stdout, story, now)
	default:
		return terminal.PrintRecord(os.Stdout, form, story)
	}
}

// printMarkdown prints the story as it is for a file, and harmless for a terminal.
func printMarkdown(w *os.File, story *timeline.Timeline, now time.Time) error {
	var b strings.Builder
	if err := story.Markdown(&b, now, true); err != nil {
		return err
	}
	text := b.String()
	if terminal.Is(w) {
		text = terminal.CleanLines(text)
	}
	_, err := w.WriteString(text)
	return err
}
