package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"supernats/bridge/supervisord/supervisordtest"
)

// meanKill is about how long it takes from one kill of the bridge to the next.
const meanKill = 450 * time.Millisecond

// maxJump is how far the clock goes: ticks leave the stream after an hour.
const maxJump = 25 * time.Minute

// dice are the random source of one lane.
type dice struct{ *rand.Rand }

func (d dice) between(least, most time.Duration) time.Duration {
	return least + time.Duration(d.Int64N(int64(most-least)+1))
}

func (d dice) percent(p int) bool { return d.IntN(100) < p }

// sleep waits; false is the end of the lane.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// flow sends events in bursts.
func (w *world) flow(ctx context.Context, d dice) error {
	for {
		n := 1 + d.IntN(40)
		if d.percent(5) {
			n = 400
		}
		if w.quiet.Load() {
			n = 0
		}
		if err := w.send(n); err != nil {
			return err
		}
		if !sleep(ctx, d.between(10*time.Millisecond, 100*time.Millisecond)) {
			return nil
		}
	}
}

// killBridges kills each bridge that supervisord starts: some as soon as they are
// there, most when they are at work.
func (w *world) killBridges(ctx context.Context, d dice, times int) error {
	for last := 0; times > 0; times-- {
		wait := d.between(50*time.Millisecond, 400*time.Millisecond)
		switch {
		case d.percent(10):
			wait = d.between(0, 20*time.Millisecond)
		case d.percent(15):
			wait = d.between(500*time.Millisecond, 2*time.Second)
		}
		for until := time.Now().Add(time.Minute); ; {
			pid := w.bridge()
			if pid != 0 && pid != last {
				if !sleep(ctx, wait) {
					return nil
				}
				// Gone meanwhile if supervisord was killed.
				if pid == w.bridge() && syscall.Kill(pid, syscall.SIGKILL) == nil {
					last = pid
					break
				}
			}
			if time.Now().After(until) {
				return fmt.Errorf("supervisord has not started another bridge for a minute; the last one was %d", last)
			}
			if !sleep(ctx, 2*time.Millisecond) {
				return nil
			}
		}
		w.count("kill -9 of the bridge")
	}
	return nil
}

func (w *world) killServers(ctx context.Context, d dice, times int, total time.Duration) error {
	for mean := total / time.Duration(times+1); times > 0; times-- {
		if !sleep(ctx, d.between(mean/2, mean*3/2)) {
			return nil
		}
		down := d.between(0, 300*time.Millisecond)
		w.count("kill -9 of the NATS server")
		switch {
		case d.percent(15):
			down = d.between(*window+500*time.Millisecond, *window+2*time.Second)
			w.count("outages longer than the window")
		case d.percent(30):
			down = d.between(300*time.Millisecond, 1500*time.Millisecond)
		}
		w.nats.kill()
		alive := sleep(ctx, down)
		if err := w.nats.start(); err != nil || !alive {
			return err
		}
	}
	return nil
}

func (w *world) killSupervisors(ctx context.Context, d dice, times int, total time.Duration) error {
	for mean := total / time.Duration(times+1); times > 0; times-- {
		if !sleep(ctx, d.between(mean/2, mean*3/2)) {
			return nil
		}
		w.count("kill -9 of supervisord")
		if err := w.end((*supervisordtest.Supervisord).Kill); err != nil {
			return err
		}
		if err := w.begin(); err != nil {
			return err
		}
	}
	return nil
}

// cutNetwork has one fault of the network after the other.
func (w *world) cutNetwork(ctx context.Context, d dice) error {
	defer w.proxy.set(none)
	kinds := []fault{
		stall, stall, stallUp, stallDown, stallDown, slow, cut, cut, cut, reset, reset, deaf, deaf, deaf, refuse,
	}
	for {
		if !sleep(ctx, d.between(200*time.Millisecond, 1500*time.Millisecond)) {
			return nil
		}
		kind := kinds[d.IntN(len(kinds))]
		lasts, after := d.between(50*time.Millisecond, 800*time.Millisecond), none
		if d.percent(5) {
			lasts = d.between(5500*time.Millisecond, 6*time.Second) // the bridge's time-out is 5 s
		}
		switch {
		case d.percent(40):
			after = reset // what is held is lost
		case d.percent(40):
			after = late
		}
		outage := kind == deaf && d.percent(40)
		w.count("network: " + string(kind))
		w.proxy.set(kind)
		if !sleep(ctx, lasts) {
			return nil
		}
		if outage {
			w.count("outages longer than the window")
			w.proxy.set(refuse)
			if !sleep(ctx, d.between(*window+500*time.Millisecond, *window+2*time.Second)) {
				return nil
			}
		}
		if after == late {
			w.count("network: late")
		}
		w.proxy.set(after)
		w.proxy.set(none)
	}
}

// fillDisk takes the disk's space: all of it, or all but a part of the spool's
// reserve.
func (w *world) fillDisk(ctx context.Context, d dice) error {
	for {
		if !sleep(ctx, d.between(2*time.Second, 6*time.Second)) {
			return nil
		}
		leave := 0.0
		if d.percent(40) {
			leave = 0.04
		}
		// Without texts, which wait for room, what may be dropped comes first.
		w.quiet.Store(d.percent(40))
		w.count("disk filled")
		err := w.fill(leave)
		alive := sleep(ctx, d.between(200*time.Millisecond, 1500*time.Millisecond))
		w.quiet.Store(false)
		if err2 := w.fill(1); err == nil {
			err = err2
		}
		if err != nil || !alive {
			return err
		}
	}
}

// moveClock sets the clock of all programs forward and back.
func (w *world) moveClock(ctx context.Context, d dice) error {
	defer w.jump(0)
	for {
		if !sleep(ctx, d.between(time.Second, 5*time.Second)) {
			return nil
		}
		w.count("clock jumps")
		w.jump(d.between(-maxJump, maxJump))
	}
}
