package deathwatch

import "slices"

// maxStarts bounds how many starts are remembered.
const maxStarts = 4 << 10

// starts matches the starts that supervisord has reported with the processes that the
// connector has, for programs that die before their name can be read and whose event
// has no process id. supervisord does one thing after the other (process.py spawn):
//
//	STARTING a   STARTING b   STARTING c   STARTING d   events, in their order
//	    │            │            ✗            │        c could not even be started
//	  fork 7       fork 8                    fork 9     the connector, in its order
//
// So both are numbered, and the difference of the numbers only grows, by one with each
// program that had no process. Where it is the same before and after a start, or
// nothing that comes between may have had no process, the process is certain.
type starts struct {
	forks, count int
	list         []*begun // oldest first
	last         map[Name]*begun
}

// begun is a start that supervisord has reported.
type begun struct {
	number int
	// fork is the number of its process, 0 while it is not known.
	fork int
	// certain says that there has been one.
	certain bool
}

// add takes note that supervisord has reported the start of a program.
func (s *starts) add(name Name) {
	s.count++
	b := &begun{number: s.count}
	if len(s.list) >= maxStarts || s.last == nil {
		s.list, s.last = nil, map[Name]*begun{}
	}
	s.list = append(s.list, b)
	s.last[name] = b
}

// difference is how many programs had no process until this start, if its process is known.
func (b *begun) difference() int { return b.number - b.fork }

// forget is for when starts or processes were missed.
func (s *starts) forget() { s.list, s.last = nil, nil }

// bind takes note that a program's last start was that of a process.
func (s *starts) bind(name Name, p *process) {
	if b := s.last[name]; b != nil && p.fork != 0 {
		b.fork, b.certain = p.fork, true
	}
}

// forkOf returns the number of the process of a program's last start, 0 if it is not
// certain. had says that there has been one.
func (s *starts) forkOf(name Name, had bool) int {
	b := s.last[name]
	if b == nil {
		return 0
	}
	b.certain = b.certain || had
	i := slices.Index(s.list, b)

	// The last start before with a known process, and whether all since then have had one.
	j, same := i-1, b.certain
	for ; j >= 0 && s.list[j].fork == 0; j-- {
		same = same && s.list[j].certain
	}
	if j < 0 {
		return 0
	}
	before := s.list[j].difference()

	// Else the first one after it, if the difference has not grown until there.
	for j := i + 1; j < len(s.list) && !same; j++ {
		if s.list[j].fork != 0 {
			same = s.list[j].difference() == before
			break
		}
	}
	if !same {
		return 0
	}
	return b.number - before
}
