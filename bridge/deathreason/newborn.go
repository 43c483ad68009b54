package deathreason

import (
	"context"
	"slices"
	"time"
)

// learnNewborn asks supervisord where processes log that it has just been given, until
// ctx ends. A process table would say so too late: many a program that was added dies at
// once.
func (r *Reasons) learnNewborn(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.logs.Strange():
			r.askNewborn(ctx)
		}
	}
}

// askNewborn asks once. Without an answer the next start of such a process asks again.
func (r *Reasons) askNewborn(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Limit)
	defer cancel()
	if !r.turn.take(ctx) {
		return
	}
	r.turn.finish(r.cfg.Limit, func() {
		if !r.rpc.mayCall(time.Now()) {
			return
		}
		limit := maxAsked
		if r.cfg.Server.IsGoPort() {
			limit = maxAskedSingly
		}

		for more := true; more; {
			var names []string
			for _, p := range r.logs.Strangers(limit) {
				names = append(names, p.Group+":"+p.Process)
			}
			rows := r.asker.learnRows(ctx, names)
			more = len(rows) == limit && !slices.Contains(rows, nil)
		}
	})
}
