package bridge

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"supernats/bridge/metrics"
	"supernats/bridge/record"
	"supernats/bridge/record/recordtest"
	"supernats/schema"
)

const mib = 1 << 20

var testBoot = recordtest.Boot

// eventRecord is the record of an event.
func eventRecord(event, payload string) []byte {
	header := recordtest.Header(event, len(payload))
	return record.AppendEvent(nil, recordtest.ReadAt, recordtest.Boot, header, []byte(payload))
}

// tableRecord is the record of a process table.
func tableRecord(t *testing.T, processes int) []byte {
	t.Helper()
	ce := recordtest.Table(recordtest.Rows(processes)).Envelope(recordtest.ReadAt)
	json, err := schema.Marshal(ce)
	if err != nil {
		t.Fatal(err)
	}
	return record.AppendMessage(nil, recordtest.ReadAt, recordtest.Boot, nil, schema.SnapshotSubject("web 1"), ce.ID,
		json)
}

func testEncoder() record.Encoder {
	ttl, _ := record.NewTTL(nil) // the defaults are valid
	return record.Encoder{Host: "web 1", TTL: ttl}
}

// testMetrics are metrics that nobody scrapes.
func testMetrics() *metrics.Metrics { return metrics.New(prometheus.NewRegistry(), metrics.Config{}) }
