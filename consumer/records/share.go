package records

// Share selects the records to keep while Open reads a bucket: only so many of each host,
// and only so many in total. Anybody who may publish can invent names, and a bucket may
// hold a million records; they are never all in memory at once.
type Share[T any] struct {
	// HostOf returns the token of the host in a key.
	HostOf func(key string) string
	// PerHost is how many records are kept of one host, All how many in total.
	PerHost, All int
	// IsSpare reports whether a record may go if there is no room for others; may be nil.
	IsSpare func(*T) bool
	// See is called with every record, kept or not; may be nil.
	See func(*T)

	count   map[string]int      // of the records that are kept, by host
	total   int                 // the same of all hosts
	spare   map[string][]string // keys of those that may go, by host
	skipped map[string]int      // how many were not kept, by host
}

// Skipped returns how many records of a host were not kept.
func (s *Share[T]) Skipped(host string) int { return s.skipped[host] }

// admit reports whether to keep a record, and returns the key of one to drop in its place.
func (s *Share[T]) admit(key string, v *T) (instead string, kept bool) {
	if s.count == nil {
		s.count = map[string]int{}
		s.spare = map[string][]string{}
		s.skipped = map[string]int{}
	}
	if s.See != nil {
		s.See(v)
	}
	host := s.HostOf(key)
	isSpare := s.IsSpare != nil && s.IsSpare(v)

	if s.count[host] >= s.PerHost || s.total >= s.All {
		s.skipped[host]++
		spare := s.spare[host]
		if isSpare || len(spare) == 0 {
			return "", false
		}
		s.spare[host] = spare[:len(spare)-1]
		return spare[len(spare)-1], true
	}

	s.count[host]++
	s.total++
	if isSpare {
		s.spare[host] = append(s.spare[host], key)
	}
	return "", true
}
