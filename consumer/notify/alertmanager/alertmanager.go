// Package alertmanager hands alerts to Prometheus's Alertmanager by its API v2,
// so that its routes, silences and receivers take over.
//
// All Alertmanagers of a receiver get the batch at the same time, as from Prometheus: they
// talk to each other, but do not pass on alerts. It is a success if one of them has taken
// the batch; the log names the others.
//
// Alertmanager takes an alert for resolved when its endsAt is over, and Prometheus moves
// that on by sending an alert again every minute. We send when something happens, and every
// repeat_interval; so a firing alert's endsAt is Config.Hold from the delivery, which has to
// be longer than the longest repeat_interval. So it hears of acknowledged alerts too, which
// nobody else does (notify.Expiring). What is muted longer than that looks resolved
// there until it is sent again. All times are by its clock: see clock.go.
//
// Under pressure: Notify keeps nothing but which of the Alertmanagers failed last, and waits
// Config.Timeout for the slowest. Only the last 100 events of an incident are listed:
// Alertmanager keeps every alert in memory and gossips it.
package alertmanager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	neturl "net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"supernats/consumer/notify"
	"supernats/consumer/notify/post"
	"supernats/schema"
)

const (
	// DefaultHold is the default repeat_interval and an hour in which a delivery
	// may be late.
	DefaultHold = schema.Duration(5 * time.Hour)
	// maxLines bounds the annotation description.
	maxLines = 100
	apiPath  = "/api/v2/alerts"
)

// Config is the section alertmanager of a receiver.
type Config struct {
	// URLs are the Alertmanagers, without /api/v2/alerts.
	URLs []string `yaml:"urls"`
	// Hold is how long an alert fires there if nothing more is heard of it.
	Hold schema.Duration `yaml:"hold"`
	// Watchdog has an alert fire there for as long as people are notified.
	Watchdog        bool `yaml:"watchdog"`
	post.AuthConfig `yaml:",inline"`
	post.HTTPConfig `yaml:",inline"`
}

// WithDefaults fills in what is not set.
func (c Config) WithDefaults() Config {
	c.HTTPConfig = c.HTTPConfig.WithDefaults()
	c.Hold = cmp.Or(c.Hold, DefaultHold)
	return c
}

// Validate reports everything that is wrong, a line for each key.
func (c Config) Validate() error {
	var errs []error
	if len(c.URLs) == 0 {
		errs = append(errs, errors.New(
			"urls: missing; give at least one Alertmanager, for example [http://localhost:9093]"))
	}
	for i, raw := range c.URLs {
		errs = append(errs, validateURL(fmt.Sprintf("urls[%d]", i), raw, c.URLs[:i]))
	}

	if c.Hold < schema.Duration(time.Minute) {
		errs = append(errs, fmt.Errorf(
			"hold: invalid value %s: want a minute or more, and more than the longest repeat_interval; "+
				"the default is %s", c.Hold, DefaultHold))
	}
	return errors.Join(append(errs, c.AuthConfig.Validate(), c.HTTPConfig.Validate())...)
}

// validateURL checks the URL of one Alertmanager; before are those of others.
func validateURL(key, raw string, before []string) error {
	if err := post.ValidateURL(key, raw); err != nil {
		return err
	}
	u, err := neturl.Parse(raw)
	if err != nil {
		return err
	}

	switch {
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("%s: invalid URL with a password, a query or a fragment: "+
			"want http://host:port/prefix, and basic_auth beside it", key)
	case strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/alerts"):
		return fmt.Errorf("%s: invalid URL %q with the path of the API: want what is before %s", key, raw, apiPath)
	case slices.Contains(before, raw):
		return fmt.Errorf("%s: duplicate URL %s", key, raw)
	}
	return nil
}

// Receiver sends to Alertmanagers. It implements notify.Receiver; its methods may be called
// at the same time.
type Receiver struct {
	// These are set once; now is the real clock except in tests.
	name string
	cfg  Config
	id   notify.Identity
	log  zerolog.Logger
	now  func() time.Time

	// mu guards what follows.
	mu sync.Mutex
	// failing has the Alertmanagers that did not take the last batch, and clocks by how
	// much the clock of each was ahead of ours at the last answer.
	failing map[string]bool
	clocks  map[string]time.Duration
}

var _ notify.Receiver = (*Receiver)(nil)

// New returns the receiver. It logs to log when an Alertmanager fails while another does not.
func New(name string, c Config, id notify.Identity, log zerolog.Logger) (*Receiver, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	r := &Receiver{
		name: name, cfg: c, id: id, log: log.With().Str("receiver", name).Logger(), now: time.Now,
		failing: map[string]bool{}, clocks: map[string]time.Duration{},
	}

	if _, err := r.post(c.URLs[0]); err != nil {
		return nil, err
	}
	p, err := post.NewPoster("", c.HTTPConfig, id)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	p.Close()
	return r, nil
}

// Expires implements notify.Expiring.
func (r *Receiver) Expires() bool { return true }

// Name implements notify.Receiver.
func (r *Receiver) Name() string { return r.name }

// Notify implements notify.Receiver. The error, if none has taken the batch, is
// that of each; it is Permanent if all of them are.
func (r *Receiver) Notify(ctx context.Context, batch []*notify.Notification) error {
	who := notify.ReceiverName("alertmanager", r.name)
	if err := notify.Check(batch); err != nil {
		return notify.Permanent(fmt.Errorf("%s: %w", who, err))
	}
	poster, err := post.NewPoster(who, r.cfg.HTTPConfig, r.id)
	if err != nil {
		return notify.Outage(err)
	}
	defer poster.Close()

	incidents := notify.Incidents(batch)
	errs := make([]error, len(r.cfg.URLs))
	var all sync.WaitGroup
	for i, url := range r.cfg.URLs {
		all.Go(func() {
			p, err := r.post(url)
			if err != nil {
				errs[i] = fmt.Errorf("%s: %w", who, err)
				return
			}
			errs[i] = r.sendTo(ctx, poster, p, url, incidents)
		})
	}
	all.Wait()

	if !slices.Contains(errs, nil) {
		return joinErrors(errs)
	}
	r.logFailing(errs)
	return nil
}

// post is the request to one of them, without a body.
func (r *Receiver) post(url string) (post.Request, error) {
	p := post.Request{
		URL: strings.TrimRight(url, "/") + apiPath, URLKey: "urls",
		BodyKey: "the labels of the rules, and whether it is an Alertmanager with API v2",
	}
	return p, r.cfg.Apply(&p)
}

// joinErrors is the error of all of them.
func joinErrors(errs []error) error {
	lines := make([]string, len(errs))
	permanent, outage := true, true
	var wait time.Duration
	for i, err := range errs {
		lines[i] = err.Error()
		permanent = permanent && notify.IsPermanent(err)
		outage = outage && notify.IsOutage(err)
		d, ok := notify.RetryAfter(err)
		if !ok {
			d = 0
		}
		// The shortest wait counts.
		if i == 0 || d < wait {
			wait = d
		}
	}

	err := error(&refusedByAll{strings.Join(lines, "; "), errs})
	switch {
	case permanent:
		return notify.Permanent(err)
	case outage:
		return notify.Outage(err)
	case wait > 0:
		return notify.After(wait, err)
	}
	return err
}

// refusedByAll shows the error of each. A permanent one among them must not make all
// permanent, so only causes that are no decision are visible.
type refusedByAll struct {
	text string
	errs []error
}

func (e *refusedByAll) Error() string { return e.text }

// Is implements what errors.Is looks for: the end of a context.
func (e *refusedByAll) Is(target error) bool {
	for _, err := range e.errs {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// logFailing logs an Alertmanager that begins to fail, and one that has recovered.
func (r *Receiver) logFailing(errs []error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, url := range r.cfg.URLs {
		switch {
		case errs[i] != nil && !r.failing[url]:
			r.log.Warn().Err(errs[i]).Str("url", url).Msg("one Alertmanager does not take alerts, another does")
		case errs[i] == nil && r.failing[url]:
			r.log.Info().Str("url", url).Msg("Alertmanager takes alerts again")
		}
		r.failing[url] = errs[i] != nil
	}
}

// postableAlert is an alert as Alertmanager's API names it.
type postableAlert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}
