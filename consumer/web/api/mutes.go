package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"supernats/consumer/fleet"
	"supernats/consumer/inspect"
	"supernats/consumer/silences"
	"supernats/consumer/web/site"
	"supernats/schema"
	"supernats/schema/stream"
)

// listMutes answers GET /api/v1/mutes: those in force, oldest first.
func (a *API) listMutes(r *http.Request) (any, error) {
	p := paramsOf(r)
	limit, token := p.limit(), p.text("page_token")
	after, err := parseMuteToken(token)
	if err != nil {
		p.fail("%w", err)
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	s, err := a.snapshot()
	if err != nil {
		return nil, err
	}

	answer := struct {
		Mutes []inspect.Mute `json:"mutes"`
		page
	}{Mutes: []inspect.Mute{}, page: pageOf(s, len(s.Mutes), len(s.Mutes), "", "")}
	if answer.Total == 0 {
		answer.Hint = "no silence is in force"
	}
	for _, m := range s.Mutes {
		if m.ID <= after {
			continue
		}
		if len(answer.Mutes) == limit {
			answer.Next = muteToken(answer.Mutes[limit-1].ID)
			break
		}
		answer.Mutes = append(answer.Mutes, inspect.Mute{Mute: m, Alerts: mutedBy(&m, s)})
	}
	return answer, nil
}

// muteToken leads to the silences after one.
func muteToken(id string) string { return base64.RawURLEncoding.EncodeToString([]byte("mute " + id)) }

// parseMuteToken returns after which silence a page begins, "" for the first page.
func parseMuteToken(token string) (after string, err error) {
	text, err := base64.RawURLEncoding.DecodeString(token)
	after, ok := strings.CutPrefix(string(text), "mute ")
	if token != "" && (err != nil || !ok) {
		return "", fleet.ErrToken
	}
	return after, nil
}

// mutedBy returns the ids of the open alerts that a silence matches.
func mutedBy(m *schema.Mute, s *fleet.Snapshot) []string {
	ids := []string{}
	for _, found := range s.Alerts {
		if found.Phase != schema.PhaseResolved && inspect.Silences(m, &found.Alert) {
			ids = append(ids, found.Incident)
		}
	}
	return ids
}

// muteRequest is what somebody asks to be silenced.
type muteRequest struct {
	Hosts     []string        `json:"hosts"`
	Groups    []string        `json:"groups"`
	Processes []string        `json:"processes"`
	Rules     []string        `json:"rules"`
	All       bool            `json:"all"`
	Comment   string          `json:"comment"`
	For       schema.Duration `json:"for"`
}

// createMute answers POST /api/v1/mutes.
func (a *API) createMute(r *http.Request) (any, error) {
	if err := a.mayMute(); err != nil {
		return nil, err
	}
	var wanted muteRequest
	if err := readBody(r, &wanted); err != nil {
		return nil, err
	}
	chooses := len(wanted.Hosts)+len(wanted.Groups)+len(wanted.Processes)+len(wanted.Rules) > 0
	if chooses == wanted.All {
		return nil, badRequest(errors.New("want hosts, groups, processes or rules, or all: true for every alert"))
	}

	now := time.Now()
	m := inspect.Mute{Mute: schema.Mute{
		Hosts: wanted.Hosts, Groups: wanted.Groups, Processes: wanted.Processes, Rules: wanted.Rules,
		Comment: wanted.Comment, Author: site.VisitorOf(r).Author(),
		Created: schema.Time{Time: now}, Expires: silences.RoundExpiry(now, time.Duration(wanted.For)),
	}}
	if err := silences.Check(&m.Mute); err != nil {
		return nil, badRequest(err)
	}
	err := a.read(r, func(ctx context.Context, reader *inspect.Reader) error {
		kv, err := reader.OpenBucket(ctx, stream.MutesBucket)
		if err != nil {
			return err
		}
		return silences.Store(ctx, kv, &m.Mute)
	})
	if err != nil {
		return nil, err
	}

	a.Log.Info().Str("mute", m.ID).Str("author", m.Author).Str("comment", m.Comment).Msg("silence is in force")
	m.Alerts = mutedBy(&m.Mute, a.Fleet.Snapshot())
	return created{m}, nil
}

// endMute answers DELETE /api/v1/mutes/{id}.
func (a *API) endMute(r *http.Request) (any, error) {
	if err := a.mayMute(); err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	err := a.read(r, func(ctx context.Context, reader *inspect.Reader) error {
		kv, err := reader.OpenBucket(ctx, stream.MutesBucket)
		if err != nil {
			return err
		}
		return silences.End(ctx, kv, id)
	})
	if errors.Is(err, silences.ErrNone) {
		return nil, site.NewProblem(http.StatusNotFound, fmt.Sprintf("no silence %.100q is in force", id))
	}
	if err != nil {
		return nil, err
	}
	a.Log.Info().Str("mute", id).Str("author", site.VisitorOf(r).Author()).Msg("silence was ended")
	return nil, nil
}

func (a *API) mayMute() error {
	if a.Site.Allows(site.AllowMute) {
		return nil
	}
	return site.NewProblem(http.StatusForbidden,
		"silences cannot be changed here: web.allow in the configuration lacks mute; use `supernats mute`")
}

// bodyTypes are the types of a body of JSON.
var bodyTypes = []string{"application/json", "application/x-www-form-urlencoded"}

// readBody reads the JSON of a request, in which nothing may be unknown. What forms of a page
// send is refused, but for what curl calls a body if nothing else is said.
func readBody(r *http.Request, into any) error {
	if kind := r.Header.Get("Content-Type"); kind != "" {
		media, _, err := mime.ParseMediaType(kind)
		if err != nil || !slices.Contains(bodyTypes, media) {
			return site.NewProblem(http.StatusUnsupportedMediaType,
				fmt.Sprintf("Content-Type: invalid value %.100q: want application/json", kind))
		}
	}

	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && d.Decode(new(any)) != io.EOF {
		err = errors.New("there is something after it")
	}
	var tooLarge *http.MaxBytesError
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil, errors.As(err, &tooLarge):
		return err
	case errors.As(err, &wrongType) && wrongType.Field != "":
		return badRequest(fmt.Errorf("body: %s: found a JSON %s: openapi.json has what is wanted",
			wrongType.Field, wrongType.Value))
	}
	return badRequest(fmt.Errorf("body: want one JSON object: %w", err))
}
