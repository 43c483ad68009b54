package deathwatch

import (
	"bytes"
	"errors"
	"io/fs"
)

const (
	// maxAsked bounds how often the variables of one process are read, maxYoung how many
	// are read in one call.
	maxAsked = 200
	maxYoung = 64
)

// FindNames finds out the names of processes that are not known yet, and reports
// whether there are more to try. supervisord gives them to its children as variables,
// which are there when the program is executed and gone when it has died.
func (w *Watch) FindNames() (more bool) {
	w.mu.Lock()
	young := w.table.takeUnnamed()
	w.mu.Unlock()

	// Until it executes its program a child shows the variables of supervisord.
	own, _ := environ(w.cfg.Proc, w.cfg.Parent)
	names, hidden := make([]Name, len(young)), make([]bool, len(young))
	for i, p := range young {
		env, err := environ(w.cfg.Proc, p.pid)
		hidden[i] = errors.Is(err, fs.ErrPermission)
		if !bytes.Equal(env, own) {
			names[i] = nameIn(env)
		}
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	for i, p := range young {
		p.asked++
		switch {
		case p.name != Name{}:
		case names[i] != Name{}:
			p.name = names[i]
		case p.asked < maxAsked && !hidden[i]:
			w.table.unnamed = append(w.table.unnamed, p)
		}
	}
	return len(w.table.unnamed) > 0
}

// takeUnnamed returns the youngest processes without a name, and forgets that they have
// none.
func (t *table) takeUnnamed() (young []*process) {
	for len(t.unnamed) > 0 && len(young) < maxYoung {
		p := t.unnamed[len(t.unnamed)-1]
		t.unnamed = t.unnamed[:len(t.unnamed)-1]
		if p.name == (Name{}) && !p.reaped {
			young = append(young, p)
		}
	}
	return young
}
