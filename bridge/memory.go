package bridge

// added takes note of processes that supervisord has started: it is known from now on
// whether memory runs out where they run.
func (d *deaths) added(pids []int) {
	for _, pid := range pids {
		d.memory.Follow(pid)
	}
}

// dead takes note of processes that have died: whether memory ran out has to be found
// out at once, while they can still be looked at.
func (d *deaths) dead(pids []int) { d.memory.Dead(pids...) }
