package supervisord

import "supernats/schema"

// prefer gives deaths the reason that the kernel knows. Where supervisord could not
// even start a process it has ended none: then its log goes first.
func (r *Reasons) prefer(deaths []Received) {
	for _, d := range deaths {
		log := d.Event.Exit
		if d.Kernel == nil || log != nil && log.Code == nil && log.Signal == "" {
			continue
		}
		if log != nil && !sameEnd(d.Kernel, log) {
			r.cfg.Differs(d.Event, d.Kernel, log)
		}
		d.Event.Exit = nil
		setExit(d.Event, d.Kernel)
	}
}

// sameEnd reports whether two reasons are the same, whoever knew them.
func sameEnd(a, b *schema.Exit) bool {
	if (a.Code == nil) != (b.Code == nil) || a.Code != nil && *a.Code != *b.Code {
		return false
	}
	return a.Signal == b.Signal && a.Core == b.Core
}

// fromLog is a reason that supervisord's log has.
func fromLog(exit *schema.Exit) *schema.Exit {
	if exit.Code == nil && exit.Signal == "" {
		return exit
	}
	own := *exit
	own.Source = schema.ExitFromLog
	return &own
}
