package deathreason

import "supernats/schema"

// preferKernel gives deaths the reason that the kernel knows. Where supervisord could not
// even start a process it has ended none: then its log goes first. differs is called where
// both know a reason and they are not the same.
func preferKernel(deaths []Received, differs func(e *schema.Event, kernel, log *schema.Exit)) {
	for _, d := range deaths {
		log := d.Event.Exit
		if d.Kernel == nil || log != nil && log.Code == nil && log.Signal == "" {
			continue
		}
		if log != nil && !sameEnd(d.Kernel, log) {
			differs(d.Event, d.Kernel, log)
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
