package schema

// Mute is a silence in the bucket supervisor_mutes: while it lasts, alerts that match it
// notify nobody.
type Mute struct {
	ID string `json:"id"`
	// Hosts, Groups, Processes and Rules are globs, see Glob; an empty list matches all.
	Hosts     []string `json:"hosts,omitempty"`
	Groups    []string `json:"groups,omitempty"`
	Processes []string `json:"processes,omitempty"`
	Rules     []string `json:"rules,omitempty"`
	Comment   string   `json:"comment"`
	Author    string   `json:"author"`
	Created   Time     `json:"created"`
	Expires   Time     `json:"expires"`
}
