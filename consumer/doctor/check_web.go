package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"supernats/consumer/wording"
	"supernats/schema/checkup"
)

// Web is what the configuration says of the pages.
type Web struct {
	// ExternalURL is where people reach them, without a slash at its end; "" if nothing says it.
	ExternalURL string
	// Prefix is before all paths.
	Prefix string
	// Allow is what they may change, Open says that everybody who reaches `listen` may, as a
	// warning of the configuration has it.
	Allow []string
	Open  bool
}

// pagesTimeout is how long the pages may take to answer.
const pagesTimeout = 5 * time.Second

// checkWeb asks the pages where people reach them. It sends no secret, and follows nothing.
func checkWeb(ctx context.Context, in *Installation, r *checkup.Report) error {
	c := in.Config
	switch {
	case c.File == "" || c.Web.ExternalURL == "":
		return nil
	case c.Listen == "":
		r.Warn("set listen: 127.0.0.1:8000, or remove external_url",
			"external_url is set, and listen is empty: the links in notifications lead nowhere")
		return nil
	}

	checkPrefix(ctx, in, r)
	answer := askPages(ctx, c.Web.ExternalURL)
	addAnswer(ctx, in, r, answer)
	return nil
}

// checkPrefix reports a daemon that was started with another prefix.
func checkPrefix(ctx context.Context, in *Installation, r *checkup.Report) {
	c := in.Config
	if c.Web.Prefix == "" {
		return
	}
	root, _, err := askDaemon(ctx, c.Listen, "/readyz", c.TLS)
	below, _, belowErr := askDaemon(ctx, c.Listen, c.Web.Prefix+"/readyz", c.TLS)
	if err == nil && belowErr == nil && root != http.StatusNotFound && below == http.StatusNotFound {
		r.Warn("restart `supernats consume`: it reads route_prefix and external_url at its start only",
			"`supernats consume` at %s does not serve %s/, as the configuration file says", c.Listen, c.Web.Prefix)
	}
}

// pagesAnswer is what somebody says who should be the pages.
type pagesAnswer struct {
	err    error
	status int
	// isOurs says that the answer is one of supernats; active is the instance that it names.
	isOurs bool
	active string
}

// askPages asks for the status of the pages, as somebody who is not logged in.
func askPages(ctx context.Context, external string) (a pagesAnswer) {
	ctx, cancel := context.WithTimeout(ctx, pagesTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, external+"/api/v1/status", nil)
	if err != nil {
		return pagesAnswer{err: err}
	}

	client := &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return pagesAnswer{err: err}
	}
	defer resp.Body.Close()

	var status struct {
		Live   *bool  `json:"live"`
		Active string `json:"active"`
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	isJSON := json.Unmarshal(text, &status) == nil
	return pagesAnswer{status: resp.StatusCode, isOurs: isJSON && status.Live != nil, active: status.Active}
}

// addAnswer reports what is wrong with an answer.
func addAnswer(ctx context.Context, in *Installation, r *checkup.Report, a pagesAnswer) {
	web := in.Config.Web
	asksWho := a.status == http.StatusUnauthorized || a.status == http.StatusForbidden || a.status/100 == 3
	switch {
	case a.err != nil:
		r.Warn("curl -v "+wording.ShellQuote(web.ExternalURL+"/healthz")+" shows more; correct external_url, the "+
			"proxy there or its certificate (if only other machines reach it, nothing is wrong)",
			"external_url %s cannot be reached from here, so links in notifications may lead nowhere: %v",
			web.ExternalURL, withoutURL(a.err))
	case asksWho:
		r.OK("external_url %s answers, and asks who we are", web.ExternalURL)
	case !a.isOurs && a.status == http.StatusNotFound:
		r.Warn("set route_prefix: / if the proxy there strips the path, else remove route_prefix; then restart "+
			"`supernats consume`",
			"external_url %s answers 404, so links in notifications lead nowhere: the pages are served below %s/",
			web.ExternalURL, web.Prefix)
	case !a.isOurs:
		r.Warn("correct external_url, or the proxy there, so that it leads to "+in.Config.Listen,
			"external_url %s answers (status %d), and is not the page of supernats: links in notifications lead "+
				"elsewhere",
			web.ExternalURL, a.status)
	default:
		addIdentity(ctx, in, r, a.active)
	}
}

// addIdentity reports pages of another installation, and pages that let everybody change
// something.
func addIdentity(ctx context.Context, in *Installation, r *checkup.Report, active string) {
	web := in.Config.Web
	if in.Reader != nil {
		l, err := in.Reader.Lease(ctx)
		if err == nil && l != nil && active != "" && l.Instance != active {
			r.Warn("correct external_url, or the proxy there, so that it leads to "+in.Config.Listen,
				"external_url %s is the page of another installation, in which %s is active, and here %s is: links in "+
					"notifications lead there", web.ExternalURL, active, l.Instance)
			return
		}
	}

	if len(web.Allow) > 0 && !web.Open {
		r.Warn("let the proxy there ask for a password and pass it on to web_config, or remove web.allow",
			"everybody who reaches %s can change what web.allow lists (%s): it answers without a password",
			web.ExternalURL, strings.Join(web.Allow, ", "))
		return
	}
	r.OK("external_url %s is this page", web.ExternalURL)
}

// withoutURL is an error without the address that it repeats.
func withoutURL(err error) error {
	for wrapped := errors.Unwrap(err); wrapped != nil; wrapped = errors.Unwrap(wrapped) {
		if !strings.Contains(wrapped.Error(), "://") {
			return wrapped
		}
	}
	return err
}

// Watchdog is a dead man's switch of the configuration.
type Watchdog struct {
	Name string
	// Reach tries whether its address can be reached, without a ping.
	Reach func(ctx context.Context) error
}

// checkWatchdogs tries whether watchdogs can be pinged. That the last pings failed, and since
// when, is among what the daemon says of itself (ready).
func checkWatchdogs(ctx context.Context, in *Installation, r *checkup.Report) error {
	for _, w := range in.Config.Watchdogs {
		if err := w.Reach(ctx); err != nil {
			r.Warn("correct url or url_file of the watchdog, or the way there (a firewall, https_proxy), and restart "+
				"`supernats consume`",
				"watchdog %s cannot be reached from here, so it will report that nobody is notified: %v", w.Name, err)
			continue
		}
		r.OK("watchdog %s can be reached", w.Name)
	}
	return nil
}

// escalating says which rules escalate to a receiver, for what is wrong with it: "; the rule
// x escalates to it".
func (c *Configuration) escalating(receiver string) string {
	rules := c.Escalations[receiver]
	if len(rules) == 0 {
		return ""
	}
	return fmt.Sprintf("; %s there: nobody else is notified then",
		wording.Count(len(rules), "rule escalates", "rules escalate")+" ("+firstNames(rules)+")")
}
