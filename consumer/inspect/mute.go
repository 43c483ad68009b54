package inspect

import (
	"context"
	"slices"
	"strings"

	"supernats/schema"
	"supernats/schema/stream"
)

// Mute is a silence with what it matches.
type Mute struct {
	schema.Mute
	// Alerts are the ids of the open alerts that it matches.
	Alerts []string `json:"alerts"`
	// Covers is what it matches of the fleet, known when it is made.
	Covers *Coverage `json:"covers,omitempty"`
}

// Mutes returns the silences in force, oldest first.
func (r *Reader) Mutes(ctx context.Context) ([]schema.Mute, error) {
	mutes, err := readBucket(ctx, r, stream.MutesBucket, func(m *schema.Mute) string { return m.ID })
	slices.SortFunc(mutes, func(a, b schema.Mute) int { return strings.Compare(a.ID, b.ID) })
	return mutes, err
}

// Silences reports whether a silence matches an alert.
func Silences(m *schema.Mute, a *schema.Alert) bool {
	return schema.MatchAny(m.Hosts, a.Host) && schema.MatchAny(m.Groups, a.Group) &&
		schema.MatchAny(m.Processes, a.Process) && schema.MatchAny(m.Rules, a.Rule)
}

// matching returns the ids of those silences that match an alert which is not over.
func matching(mutes []schema.Mute, a *schema.Alert) (ids []string) {
	for i := range mutes {
		if a.Phase != schema.PhaseResolved && Silences(&mutes[i], a) {
			ids = append(ids, mutes[i].ID)
		}
	}
	return ids
}

// MutedBy returns the ids of the open alerts that a silence matches.
func MutedBy(m *schema.Mute, alerts []schema.Alert) []string {
	ids := []string{}
	for _, a := range alerts {
		if a.Phase != schema.PhaseResolved && Silences(m, &a) {
			ids = append(ids, a.Incident)
		}
	}
	return ids
}
