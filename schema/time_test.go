package schema

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
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
	e := &Event{Event: Tick5, Host: "web1"}
	for _, at := range []time.Time{time.Unix(math.MaxInt64, 0), time.Unix(math.MinInt64, 0), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if got, want := e.AppendJSON(nil, at), marshal(t, e.Envelope(at)); string(got) != string(want) {
			t.Errorf("%s, not %s", got, want)
		}
	}
}

// Whatever is written can be read again: every record, with any values. A record that
// cannot be read is one that is lost, with all that it holds of others.
func TestWhatIsWrittenCanBeRead(t *testing.T) {
	for _, record := range []any{
		State{},
		Host{},
		OpenAlert{},
		Mute{},
		Snapshot{},
		Bridge{},
		Loss{},
		Trouble{},
		Resent{},
		Alert{},
		Event{},
		CloudEvent[*Event]{},
		CloudEvent[*Snapshot]{},
		CloudEvent[*Bridge]{},
		CloudEvent[*Loss]{},
		CloudEvent[*Trouble]{},
		CloudEvent[*Resent]{},
		CloudEvent[*Alert]{},
	} {
		typ := reflect.TypeOf(record)
		t.Run(strings.ReplaceAll(typ.String(), "/", "."), func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			for range 300 {
				v := reflect.New(typ)
				hostile(r, v.Elem(), 0)
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

// What the bridge writes is read as it was, by the scanner too.
func TestEventsThatAreWrittenCanBeRead(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		e := &Event{}
		hostile(r, reflect.ValueOf(e).Elem(), 0)
		for _, s := range []*string{&e.Event, &e.Host, &e.Boot, &e.Server, &e.Type} {
			*s = valid(*s) + "x"
		}
		var at Time
		hostile(r, reflect.ValueOf(&at).Elem(), 0)
		written := e.AppendJSON(nil, at.Time)
		ce, err := UnmarshalEvent(written)
		if err != nil {
			t.Fatalf("%v: %.2000s", err, written)
		}
		if again := ce.Data.AppendJSON(nil, ce.Time.Time); replaced(again) != replaced(written) {
			t.Fatalf("it was  %.2000s\nand is %.2000s", written, again)
		}
	}
}

// replaced is JSON in which a byte that is no UTF-8 looks the same whenever it was replaced.
func replaced(json []byte) string { return strings.ReplaceAll(string(json), `\ufffd`, "\ufffd") }

// hostile fills a value with what nobody expects.
func hostile(r *rand.Rand, v reflect.Value, depth int) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(oddTime(r)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			hostile(r, v.Field(i), depth+1)
		}
	case reflect.Pointer:
		if r.IntN(3) > 0 || depth == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			hostile(r, v.Elem(), depth+1)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(4), 4))
		for i := range v.Len() {
			hostile(r, v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range r.IntN(4) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			hostile(r, key, depth+1)
			key.SetString(valid(key.String())) // two keys may become one
			hostile(r, value, depth+1)
			v.SetMapIndex(key, value)
		}
	case reflect.String:
		odd := []string{"", "api", "\x00\x1b[2J", "\xff\xfe", "<script>&", "\u2028\u202e", "é", "😀", `"\`, strings.Repeat("x", 300), "null", "\ufffd"}
		v.SetString(odd[r.IntN(len(odd))] + odd[r.IntN(len(odd))])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int64:
		odd := []int64{0, 1, -1, 1 << 53, math.MaxInt64, math.MinInt64, r.Int64()}
		v.SetInt(odd[r.IntN(len(odd))])
	case reflect.Uint64:
		odd := []uint64{0, 1, 1<<53 + 1, math.MaxUint64, r.Uint64()}
		v.SetUint(odd[r.IntN(len(odd))])
	case reflect.Uint8:
		v.SetUint(uint64(r.IntN(256)))
	default:
		panic("a field of a kind that this test does not know: " + v.Type().String())
	}
}

func oddTime(r *rand.Rand) time.Time {
	odd := []time.Time{
		{},
		time.Unix(0, 0), time.Unix(math.MaxInt64, 0), time.Unix(math.MinInt64, 0), time.Unix(r.Int64(), r.Int64()),
		time.Unix(0, math.MaxInt64), time.Unix(0, math.MinInt64), time.Unix(0, math.MaxInt64).Add(time.Hour),
		time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -24*3600)),
		time.Date(0, 1, 1, 0, 0, 0, 0, time.FixedZone("", 24*3600)), time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 11, 21, 19, 0, 31, 833_512_999, time.FixedZone("", 3600+7)),
	}
	return odd[r.IntN(len(odd))]
}
