// Package watchdog is the dead man's switch: it pings an address for as long as people are
// really notified, so that somebody else notices when they are not.
//
// A ping is a POST to the address. What cannot notify anybody posts to the address with
// /fail at its end, with the reason, as healthchecks.io has it; what is dead posts nothing.
// A ping that fails holds nothing up: it is logged once, raises a warning, and the next one
// comes at its time.
package watchdog

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"supernats/consumer/health"
	"supernats/consumer/notify"
	"supernats/schema"
	"supernats/schema/repeat"
	"supernats/schema/secretfile"
)

// Defaults and limits of the settings.
const (
	DefaultEvery = time.Minute
	minEvery     = time.Second
)

// Settings are one entry of the section `watchdog` of the configuration.
type Settings struct {
	Name string `yaml:"name"`
	// URL is a secret; URLFile is read at every ping.
	URL     secretfile.Secret `yaml:"url"`
	URLFile string            `yaml:"url_file"`
	// Every is how often it is pinged.
	Every             schema.Duration `yaml:"every"`
	notify.HTTPConfig `yaml:",inline"`
}

// WithDefaults fills in what is not set.
func (s Settings) WithDefaults() Settings {
	s.HTTPConfig = s.HTTPConfig.WithDefaults()
	if s.Every == 0 {
		s.Every = schema.Duration(DefaultEvery)
	}
	return s
}

// Validate reports everything that is wrong, a line for each key.
func (s Settings) Validate() error {
	var wrong []error
	if s.Name == "" {
		wrong = append(wrong, errors.New("name: missing; a watchdog needs a name, for example healthchecks"))
	}
	switch {
	case (s.URL == "") == (s.URLFile == ""):
		wrong = append(wrong, errors.New("want either url or url_file"))
	case s.URL != "":
		wrong = append(wrong, notify.ValidateURL("url", string(s.URL)))
	}
	if time.Duration(s.Every) < minEvery {
		wrong = append(wrong, fmt.Errorf("every: invalid value %v: want %s or more", s.Every, minEvery))
	}
	return errors.Join(append(wrong, s.HTTPConfig.Validate())...)
}

// Verdict is whether people are notified.
type Verdict struct {
	// Silent says that it is not for this instance to say: another one is active.
	Silent bool
	// Reason is why nobody, or not everybody, would be notified; "" if all is well.
	Reason string
}

// Results of pings.
const (
	ResultPing   = "ping"
	ResultFail   = "fail"
	ResultFailed = "error"
)

// Watchdog pings one address. Its fields are set once, but for the counters.
type Watchdog struct {
	settings Settings
	id       notify.Identity
	verdict  func(context.Context) Verdict
	health   *health.Health
	log      zerolog.Logger

	// failing has what the last ping failed with, if it did.
	failing repeat.Errors
	// counts are the pings by result, for metrics.
	counts map[string]*atomic.Uint64
}

// New returns a watchdog of valid settings. verdict is asked before each ping, and bounds
// its own time.
func New(
	s Settings, id notify.Identity, verdict func(context.Context) Verdict, h *health.Health, log zerolog.Logger,
) *Watchdog {
	w := &Watchdog{settings: s, id: id, verdict: verdict, health: h, counts: map[string]*atomic.Uint64{}}
	w.log = log.With().Str("watchdog", s.Name).Logger()
	for _, result := range []string{ResultPing, ResultFail, ResultFailed} {
		w.counts[result] = new(atomic.Uint64)
	}
	return w
}

// Name returns the name of the watchdog.
func (w *Watchdog) Name() string { return w.settings.Name }

// Counts returns how many pings had each result.
func (w *Watchdog) Counts() map[string]uint64 {
	counts := map[string]uint64{}
	for result, n := range w.counts {
		counts[result] = n.Load()
	}
	return counts
}

// Run pings until ctx ends.
func (w *Watchdog) Run(ctx context.Context) error {
	defer w.health.Clear(w.cause())
	for {
		begun := time.Now()
		w.pingOnce(ctx)
		pause := time.Duration(w.settings.Every) - time.Since(begun)
		if err := health.Sleep(ctx, max(pause, minEvery/2)); err != nil {
			return err
		}
	}
}

// cause is that of the warning that the address cannot be pinged.
func (w *Watchdog) cause() string { return "watchdog " + w.settings.Name }

// pingOnce asks for the verdict and posts it.
func (w *Watchdog) pingOnce(ctx context.Context) {
	v := w.verdict(ctx)
	if v.Silent || ctx.Err() != nil {
		return
	}

	result := ResultPing
	if v.Reason != "" {
		result = ResultFail
	}
	if err := w.post(ctx, v); err != nil {
		if ctx.Err() != nil {
			return
		}
		w.counts[ResultFailed].Add(1)
		w.reportError(err)
		return
	}

	w.counts[result].Add(1)
	w.failing.LogOver(w.log).Msg("watchdog can be pinged again")
	w.health.Clear(w.cause())
}

func (w *Watchdog) reportError(err error) {
	if w.failing.Failed(err) {
		w.log.Warn().Err(err).Msg("watchdog cannot be pinged")
	}
	w.health.Warn(w.cause(), "watchdog "+w.settings.Name+" cannot be pinged: "+err.Error(),
		"check url of the watchdog in the configuration, and the way there")
}

// message is what a ping says.
type message struct {
	Status   string `json:"status"`
	Instance string `json:"instance"`
	Reason   string `json:"reason,omitempty"`
}

func (w *Watchdog) post(ctx context.Context, v Verdict) error {
	address, err := w.settings.URL.Reveal("url", w.settings.URLFile)
	if err != nil {
		return err
	}
	body := message{Status: "ok", Instance: w.id.Instance}
	if v.Reason != "" {
		body.Status, body.Reason = "fail", v.Reason
		if address, err = failAddress(address); err != nil {
			return err
		}
	}

	p, err := notify.NewPoster("watchdog "+w.settings.Name, w.settings.HTTPConfig, w.id)
	if err != nil {
		return err
	}
	defer p.Close()
	key := "url"
	if w.settings.URLFile != "" {
		key = "url_file"
	}
	return p.Do(ctx, notify.Post{URL: address, URLKey: key, Body: body})
}

// failAddress is the address to which a failure is reported.
func failAddress(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("url: not a URL") // the error would quote the secret
	}
	u.Path = strings.TrimRight(u.Path, "/") + "/fail"
	u.RawPath = ""
	return u.String(), nil
}
