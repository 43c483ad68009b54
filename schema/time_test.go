package schema

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"supernats/schema/schematest"
)

func TestTimesThatAreRefused(t *testing.T) {
	for text, want := range map[string]bool{
		`"2026-11-21T19:00:31.833512Z"`: true, `"0000-01-01T00:00:00Z"`: true, `"0001-01-01T00:00:00Z"`: true,
		`"9999-12-31T23:59:59.999999999Z"`: true, `"9999-12-31T23:59:59+23:59"`: true, `"1677-01-01T00:00:00Z"`: true, `"2263-01-01T00:00:00Z"`: true,
		`"9999-12-31T23:59:59-12:00"`: false, `"9999-12-31T23:59:59.999999999-00:01"`: false, `"0000-01-01T00:00:00+00:01"`: false,
		`"-0001-01-01T00:00:00Z"`: false, `"10000-01-01T00:00:00Z"`: false, `"2026-11-21"`: false, `7`: false, `""`: false,
	} {
		var got Time
		if err := json.Unmarshal([]byte(text), &got); (err == nil) != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

func TestTimesThatCannotBeWritten(t *testing.T) {
	for want, at := range map[string]time.Time{
		`"0000-01-01T00:00:00.000000Z"`: time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC),
		`"9999-12-31T23:59:59.999999Z"`: time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -12*3600)),
		`"0001-01-01T00:00:00.000000Z"`: {},
	} {
		if got := string(marshal(t, Time{at})); got != want {
			t.Errorf("%v: %s, not %s", at, got, want)
		}
	}
}

// Whatever is written can be read again: every record, with any values. A record that
// cannot be read is one that is lost, with all that it holds of others.
func TestWhatIsWrittenCanBeRead(t *testing.T) {
	for _, record := range []any{
		ProcessRecord{},
		HostRecord{},
		Alert{},
		Mute{},
		Snapshot{},
		Bridge{},
		Loss{},
		Trouble{},
		Resent{},
		Forgotten{},
		Notification{},
		Event{},
		CloudEvent[*Event]{},
		CloudEvent[*Snapshot]{},
		CloudEvent[*Bridge]{},
		CloudEvent[*Loss]{},
		CloudEvent[*Trouble]{},
		CloudEvent[*Resent]{},
		CloudEvent[*Forgotten]{},
		CloudEvent[*Notification]{},
	} {
		typ := reflect.TypeOf(record)
		t.Run(strings.ReplaceAll(typ.String(), "/", "."), func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			for range 300 {
				v := reflect.New(typ)
				schematest.Hostile(r, v.Interface())
				written := marshal(t, v.Interface())
				read := reflect.New(typ)
				if err := json.Unmarshal(written, read.Interface()); err != nil {
					t.Fatalf("%v: %.2000s", err, written)
				}
				if again := marshal(t, read.Interface()); replaced(again) != replaced(written) {
					t.Fatalf("it was  %.2000s\nand is %.2000s", written, again)
				}
			}
		})
	}
}

// replaced is JSON in which a byte that is no UTF-8 looks the same whenever it was replaced.
func replaced(json []byte) string { return strings.ReplaceAll(string(json), `\ufffd`, "\ufffd") }

func TestLasted(t *testing.T) {
	for seconds, want := range map[float64]time.Duration{
		-3: 0, math.Inf(-1): 0, 0: 0, 0.0004: 0, 0.0006: time.Millisecond, 3.25: 3250 * time.Millisecond,
		187_442.031: 52*time.Hour + 4*time.Minute + 2*time.Second + 31*time.Millisecond,
		1e300:       math.MaxInt64, math.Inf(1): math.MaxInt64,
	} {
		if got := Lasted(seconds); got != want {
			t.Errorf("Lasted(%g) is %v, want %v", seconds, got, want)
		}
	}
	if got := Lasted(math.NaN()); got != 0 {
		t.Errorf("Lasted(NaN) is %v", got)
	}
}
