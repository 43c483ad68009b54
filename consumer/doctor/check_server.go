package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/wording"
	"supernats/schema"
	"supernats/schema/checkup"
)

// oldestServer is the first version in which a message and a key can expire by
// themselves.
var oldestServer = [2]int{2, 11}

// checkServer reports whether NATS can be reached, and whether it is too old.
func checkServer(_ context.Context, in *Installation, r *checkup.Report) error {
	if in.Reader == nil {
		r.Fail("start nats-server or `supernats consume`; --nats-url, --nats-context or -c FILE say where it is",
			"%v", in.Unreachable)
		return nil
	}

	nc := in.Reader.JS.Conn()
	version := nc.ConnectedServerVersion()
	if !isAtLeast(version, oldestServer) {
		r.Fail("install nats-server 2.11 or later",
			"nats-server %s at %s is too old: ticks and silences would never expire",
			version, nc.ConnectedUrlRedacted())
		return nil
	}
	r.OK("nats-server %s at %s", version, nc.ConnectedUrlRedacted())
	return nil
}

// isAtLeast compares the first two numbers of a version.
func isAtLeast(version string, want [2]int) bool {
	var have [2]int
	numbers := strings.SplitN(version, ".", 3)
	for i, number := range numbers[:min(2, len(numbers))] {
		have[i], _ = strconv.Atoi(number)
	}
	return slices.Compare(have[:], want[:]) >= 0
}

// checkJetStream reports whether JetStream is on, and how full it is.
func checkJetStream(ctx context.Context, in *Installation, r *checkup.Report) error {
	info, err := in.Reader.JS.AccountInfo(ctx)
	if errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		r.Fail(`write "jetstream { store_dir: /var/lib/nats }" into nats-server.conf, `+
			`and "jetstream: enabled" into the account if there are accounts`,
			"JetStream is off: %v", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("ask for JetStream: %w", err)
	}

	used, limit := schema.Size(info.Store), info.Limits.MaxStore
	if limit > 0 && info.Store > uint64(limit)*9/10 {
		r.Warn("raise max_file_store in nats-server.conf, or the account's limit",
			"JetStream has used %s of the %v that it may", percent(info.Store, limit), schema.Size(limit))
		return nil
	}
	r.OK("JetStream is on and holds %s", wording.Mebibytes(used))
	return nil
}

func percent(n uint64, of int64) string {
	return strconv.FormatFloat(100*float64(n)/float64(of), 'f', 0, 64) + " %"
}
