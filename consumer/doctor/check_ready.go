package doctor

import (
	"bufio"
	"context"
	"crypto/tls"
	"net/http"
	"regexp"
	"strings"
	"time"

	"supernats/schema/checkup"
)

// notReady matches a line of /readyz: what is wrong, which may have semicolons of its own,
// with its cause and since when, and what to do.
var notReady = regexp.MustCompile(`^(?:not ready|warning): (.*?, since [^()]*\)); (.*)$`)

// checkReady asks the daemon itself, where the configuration file says that it listens.
// That nobody answers says nothing: the daemon may run somewhere else.
func checkReady(ctx context.Context, in *Installation, r *checkup.Report) error {
	if in.Config.File == "" {
		return nil
	}
	for _, warning := range in.Config.Warnings {
		text, fix, _ := strings.Cut(warning, "; ")
		r.Warn(fix, "%s", text)
	}

	address := in.Config.Listen
	if address == "" {
		return nil
	}
	status, lines, err := askDaemon(ctx, address, "/readyz", in.Config.TLS)
	if err != nil || status != http.StatusServiceUnavailable && status != http.StatusOK {
		return nil
	}
	for _, line := range lines {
		addReadyLine(r, address, line, status == http.StatusOK)
	}
	return nil
}

// addReadyLine reports a line of /readyz. Of a daemon that is ready only the warnings
// count.
func addReadyLine(r *checkup.Report, address, line string, ready bool) {
	isWarning := strings.HasPrefix(line, "warning: ")
	if ready && !isWarning {
		return
	}

	text, fix := strings.TrimPrefix(line, "not ready: "), ""
	if m := notReady.FindStringSubmatch(line); m != nil {
		text, fix = m[1], m[2]
	}
	if strings.Contains(fix, "supernats doctor") { // this is the doctor
		fix = "the log of `supernats consume` says more"
	}

	if isWarning {
		r.Warn(fix, "`supernats consume` at %s: %s", address, text)
		return
	}
	r.Fail(fix, "`supernats consume` at %s is not ready: %s", address, text)
}

// askDaemon asks for a path. Without TLS in the file that configures the server, the server
// speaks plain HTTP all the same.
func askDaemon(ctx context.Context, address, path string, mayUseTLS bool) (status int, lines []string, err error) {
	if mayUseTLS {
		status, lines, err = fetchReady(ctx, "https://"+address+path)
		if err == nil {
			return status, lines, nil
		}
	}
	return fetchReady(ctx, "http://"+address+path)
}

// readyTimeout is how long the daemon may take to answer.
const readyTimeout = 3 * time.Second

// fetchReady returns the answer of a daemon, a line for each thing that is wrong.
func fetchReady(ctx context.Context, url string) (status int, lines []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}

	// The request carries no secret, and the answer need not be vouched for.
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true, //nolint:gosec
	}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()

	for s := bufio.NewScanner(http.MaxBytesReader(nil, resp.Body, 64<<10)); s.Scan(); {
		if line := strings.TrimSpace(s.Text()); line != "" {
			lines = append(lines, line)
		}
	}
	return resp.StatusCode, lines, nil
}
