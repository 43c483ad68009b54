package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/stream"
)

// writes tries whether the streams and buckets store what they get: a server that
// has met a full disk answers everything else as before. What this user may not
// write is not tried.
func (d *doctor) writes(ctx context.Context) error {
	for _, name := range stream.Names() {
		err := d.guard.run(ctx, func(ctx context.Context) error { return stream.TryWrite(ctx, d.js, name) })
		var refusal *stream.WriteError
		switch {
		case !errors.As(err, &refusal):
		case refusal.Full:
			d.fail(fmt.Sprintf("nats stream edit %s --max-bytes=SIZE --discard=old, or raise the limit of the account", name), "%v", err)
		default:
			d.fail("restart nats-server: a stream in which a write has failed once takes nothing before that (`supernats consume` restarts the server that it embeds by itself); see also: df -h", "%v", err)
		}
	}
	return nil
}

// notReady is a line of /readyz: what is wrong, which may have semicolons of its own,
// with its cause and since when, and what to do.
var notReady = regexp.MustCompile(`^(?:not ready|warning): (.*?, since [^()]*\)); (.*)$`)

// ready asks the daemon itself, where the configuration file says that it listens.
// That nobody answers says nothing: it may run somewhere else.
func (d *doctor) ready(ctx context.Context) error {
	if !d.written {
		return nil
	}
	for _, w := range d.cfg.Warnings() {
		text, fix, _ := strings.Cut(w, "; ")
		d.warn(fix, "%s", text)
	}
	if d.cfg.Listen == "" {
		return nil
	}
	scheme := "http"
	if d.cfg.WebConfig != "" {
		scheme = "https"
	}
	code, lines, err := readyz(ctx, scheme+"://"+d.cfg.Listen+"/readyz")
	if err != nil && scheme == "https" { // its web_config has no TLS
		code, lines, err = readyz(ctx, "http://"+d.cfg.Listen+"/readyz")
	}
	if err != nil || code != http.StatusServiceUnavailable && code != http.StatusOK {
		return nil
	}
	for _, line := range lines {
		mere := strings.HasPrefix(line, "warning: ")
		if code == http.StatusOK && !mere {
			continue
		}
		text, fix := strings.TrimPrefix(line, "not ready: "), ""
		if m := notReady.FindStringSubmatch(line); m != nil {
			text, fix = m[1], m[2]
		}
		if strings.Contains(fix, "supernats doctor") { // which this is
			fix = "the log of `supernats consume` says more"
		}
		if mere {
			d.warn(fix, "`supernats consume` at %s: %s", d.cfg.Listen, text)
			continue
		}
		d.fail(fix, "`supernats consume` at %s is not ready: %s", d.cfg.Listen, text)
	}
	return nil
}

// readyz returns the answer of a daemon, a line for each thing that is wrong.
func readyz(ctx context.Context, url string) (code int, lines []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	// Nothing is sent but the question, and nobody is asked to vouch for the answer.
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

// size reports a stream without a limit, with another one than is written, or with
// fewer replicas.
func (d *doctor) size(info *jetstream.StreamInfo) {
	have := info.Config
	limits := d.cfg.StreamLimits()
	written := limits.Sizes.Written(have.Name)
	switch {
	case have.MaxBytes <= 0:
		d.warn(fmt.Sprintf("nats stream edit %s --max-bytes=%d --discard=old", have.Name, limits.Bytes(have.Name)),
			"stream %s has no size limit: it may fill the account, and then nothing is stored any more", have.Name)
	case written > 0 && written != have.MaxBytes:
		d.warn(fmt.Sprintf("nats stream edit %s --max-bytes=%d", have.Name, written),
			"stream %s may take %v, and the configuration file says %v", have.Name, schema.Size(have.MaxBytes), schema.Size(written))
	case have.Discard == jetstream.DiscardNew && info.State.Bytes > uint64(have.MaxBytes)*9/10:
		d.warn(fmt.Sprintf("nats stream edit %s --max-bytes=%d --discard=old", have.Name, 4*have.MaxBytes),
			"stream %s has used %s of its %v, and refuses new records when it is full", have.Name, percent(info.State.Bytes, have.MaxBytes), schema.Size(have.MaxBytes))
	case strings.HasPrefix(have.Name, "KV_") && info.State.Bytes > uint64(have.MaxBytes)*9/10:
		d.warn(fmt.Sprintf("nats stream edit %s --max-bytes=%d", have.Name, 4*have.MaxBytes),
			"stream %s has used %s of its %v, and drops its oldest records when it is full", have.Name, percent(info.State.Bytes, have.MaxBytes), schema.Size(have.MaxBytes))
	}
	if have.Replicas < limits.Replicas {
		d.warn(fmt.Sprintf("when nats-server runs in a cluster: nats stream edit %s --replicas=%d; else set nats.replicas to %d", have.Name, limits.Replicas, have.Replicas),
			"stream %s has %d replicas, and the configuration file says %d", have.Name, have.Replicas, limits.Replicas)
	}
}
