package fleetcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/rs/zerolog"

	"supernats/consumer"
	"supernats/consumer/cmd/supernats/frame"
	"supernats/consumer/fleet"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/schema/stream"
)

// framesPerSecond is how often the screen is drawn at most. Records change it four times a
// second at most, see fleet; keys at once.
const framesPerSecond = 20

// watch draws the processes on the terminal as they change, until somebody quits or ctx
// ends.
func (p *Ps) watch(ctx context.Context, c *frame.Flags, filter consumer.Filter) error {
	switch {
	case p.Output != terminal.FormAuto && p.Output != terminal.FormTable:
		return frame.UsageError{Err: fmt.Errorf("--watch draws a table: it cannot be combined with -o %s", p.Output)}
	case !terminal.CanDraw(os.Stdout) || !terminal.Is(os.Stdin):
		return frame.UsageError{Err: errors.New("--watch needs a terminal: " +
			"`supernats tail --event PROCESS_STATE` prints changes elsewhere")}
	}

	return c.WithReader(ctx, func(ctx context.Context, r *inspect.Reader) error {
		if _, err := r.OpenBucket(ctx, stream.StateBucket); err != nil {
			return err
		}
		ctx, stop := context.WithCancel(ctx)
		defer stop()

		live := fleet.New()
		followed := make(chan struct{})
		go func() {
			defer close(followed)
			_ = live.Run(ctx, r.JS, zerolog.Nop()) // it ends with ctx; what is wrong is in the Status
		}()
		screen := &watchScreen{
			ps: p, filter: filter, snapshot: live.Snapshot(), isConnected: r.JS.Conn().IsConnected,
		}
		err := screen.show(ctx, live)
		stop()
		<-followed
		return err
	})
}

// show has the screen until somebody quits.
func (s *watchScreen) show(ctx context.Context, live *fleet.Fleet) error {
	program := tea.NewProgram(s, tea.WithContext(ctx), tea.WithoutSignalHandler(), tea.WithFPS(framesPerSecond))

	drawn := make(chan struct{})
	changed, stop := live.Subscribe()
	defer stop()
	go func() {
		for {
			select {
			case <-drawn:
				return
			case <-changed:
				program.Send(live.Snapshot())
			}
		}
	}()

	_, err := program.Run()
	close(drawn)
	if ctx.Err() != nil {
		return nil // interrupted, or denied, which WithReader reports
	}
	return err
}

// tick redraws what depends on the time alone.
type tick time.Time

func nextTick() tea.Cmd { return tea.Tick(time.Second, func(t time.Time) tea.Msg { return tick(t) }) }

// watchScreen is what is on the screen. It belongs to the goroutine of the program.
type watchScreen struct {
	ps       *Ps
	filter   consumer.Filter
	snapshot *fleet.Snapshot
	// isConnected reports whether NATS can be reached now: the snapshot knows it later.
	isConnected func() bool
	// received is when the snapshot came, by our clock.
	received      time.Time
	width, height int
	// offset is the first process that is shown, shown how many were at the last drawing.
	offset, shown int
}

// Init implements tea.Model.
func (s *watchScreen) Init() tea.Cmd { return nextTick() }

// Update implements tea.Model.
func (s *watchScreen) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch m := message.(type) {
	case *fleet.Snapshot:
		s.snapshot, s.received = m, time.Now()
	case tick:
		return s, nextTick()
	case tea.WindowSizeMsg:
		s.width, s.height = m.Width, m.Height
	case tea.KeyPressMsg:
		return s, s.press(m.String())
	}
	return s, nil
}

// press does what a key stands for.
func (s *watchScreen) press(key string) tea.Cmd {
	switch key {
	case "q", "ctrl+c", "esc":
		return tea.Quit
	case "down", "j":
		s.offset++
	case "up", "k":
		s.offset--
	case "pgdown", "space", "ctrl+f":
		s.offset += max(1, s.shown)
	case "pgup", "b", "ctrl+b":
		s.offset -= max(1, s.shown)
	case "home", "g":
		s.offset = 0
	case "end", "G":
		s.offset = len(s.list())
	}
	s.offset = max(0, min(s.offset, len(s.list())-1))
	return nil
}

// View implements tea.Model.
func (s *watchScreen) View() tea.View {
	v := tea.NewView(s.draw())
	v.AltScreen = true
	v.WindowTitle = "supernats ps"
	return v
}
