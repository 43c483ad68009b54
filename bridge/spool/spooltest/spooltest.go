// Package spooltest damages spools, for tests.
package spooltest

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Damage does something at random to a file of a spool, and returns what it was.
func Damage(tb testing.TB, r *rand.Rand, dir, name string) (how string) {
	tb.Helper()
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	how = []string{"flip", "flips", "zeros", "cut", "garbage", "double", "insert", "delete"}[r.IntN(8)]
	if len(b) == 0 && how != "garbage" {
		how = "delete"
	}
	at := 0
	if len(b) > 0 {
		at = r.IntN(len(b))
	}

	switch how {
	case "flip":
		b[at] ^= 1 << r.IntN(8)
	case "flips":
		for range 64 {
			b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		}
	case "zeros":
		clear(b[at:min(len(b), at+r.IntN(3000))])
	case "cut":
		b = b[:at]
	case "garbage":
		b = append(b, garbage(r, 4000)...)
	case "double":
		b = append(b, b[at:]...)
	case "insert":
		b = slices.Insert(b, at, garbage(r, 100)...)
	case "delete":
		err = os.Remove(path)
	}
	if how != "delete" {
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return how + " of " + name
}

// garbage is at least one byte, and at most as many as given.
func garbage(r *rand.Rand, most int) []byte {
	b := make([]byte, 1+r.IntN(most))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
