// Package schematest helps tests of what writes and reads records: values that nobody
// expects, and validation against the JSON Schemas.
package schematest

import (
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"time"
)

// Hostile fills what v points to with anything that its type allows.
func Hostile(r *rand.Rand, v any) { hostile(r, reflect.ValueOf(v).Elem(), 0) }

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
		hostileMap(r, v, depth)
	default:
		setOdd(r, v)
	}
}

func hostileMap(r *rand.Rand, v reflect.Value, depth int) {
	v.Set(reflect.MakeMap(v.Type()))
	for range r.IntN(4) {
		key := reflect.New(v.Type().Key()).Elem()
		hostile(r, key, depth+1)
		key.SetString(strings.ToValidUTF8(key.String(), "\ufffd")) // else two keys may become one

		value := reflect.New(v.Type().Elem()).Elem()
		hostile(r, value, depth+1)
		v.SetMapIndex(key, value)
	}
}

// setOdd sets a value without parts.
func setOdd(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(oddOf(r, oddTexts...) + oddOf(r, oddTexts...))
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int64:
		v.SetInt(oddOf(r, 0, 1, -1, 1<<53, math.MaxInt64, math.MinInt64, r.Int64()))
		if v.Type().Name() == "Duration" && v.Int() < 0 { // those of schema are never negative
			v.SetInt(math.MaxInt64)
		}

	case reflect.Uint64:
		v.SetUint(oddOf(r, 0, 1, 1<<53+1, math.MaxUint64, r.Uint64()))
	case reflect.Float64: // JSON has finite ones only
		v.SetFloat(oddOf(r, 0, 1, -1, 0.1, -1e-9, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64,
			math.Ldexp(r.Float64(), r.IntN(2000)-1000)))
	case reflect.Uint8:
		v.SetUint(uint64(r.IntN(256)))
	default:
		panic("a field of a kind that is not known here: " + v.Type().String())
	}
}

func oddOf[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

var oddTexts = []string{
	"", "api", "\x00\x1b[2J", "\xff\xfe", "<script>&", "\u2028\u202e", "é", "😀", `"\`, strings.Repeat("x", 300),
	"null", "\ufffd",
}

func oddTime(r *rand.Rand) time.Time {
	return oddOf(r,
		time.Time{},
		time.Unix(0, 0), time.Unix(math.MaxInt64, 0), time.Unix(math.MinInt64, 0), time.Unix(r.Int64(), r.Int64()),
		time.Unix(0, math.MaxInt64), time.Unix(0, math.MinInt64), time.Unix(0, math.MaxInt64).Add(time.Hour),
		time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -24*3600)),
		time.Date(0, 1, 1, 0, 0, 0, 0, time.FixedZone("", 24*3600)), time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 11, 21, 19, 0, 31, 833_512_999, time.FixedZone("", 3600+7)),
	)
}
