package lease

import (
	"context"
	"testing"
	"time"

	"supernats/consumer/fleettest"
	"supernats/consumer/health"
	"supernats/schema/stream"
)

// vanishing is a cluster whose instances make the bucket of leases again.
func vanishing(t *testing.T) *cluster {
	c := newCluster(t)
	c.use() // it is no new installation
	c.create = func(ctx context.Context) error { return stream.EnsureAll(ctx, c.js, stream.DefaultLimits()) }
	return c
}

func (c *cluster) vanish(how string) {
	c.Helper()
	name := "KV_" + stream.LeasesBucket
	var err error
	switch how {
	case "delete":
		err = c.js.DeleteStream(c.Context(), name)
	case "purge":
		s, lookup := c.js.Stream(c.Context(), name)
		if lookup != nil {
			c.Fatal(lookup)
		}
		err = s.Purge(c.Context())
	case "delete everything":
		for _, name := range stream.Names() {
			if err = c.js.DeleteStream(c.Context(), name); err != nil {
				break
			}
		}
	}
	if err != nil {
		c.Fatal(err)
	}
}

// The bucket of leases vanishes under an active instance: it stays the active one, and no
// other is meanwhile. Join's instances report it if two are.
func TestLeaseWhoseBucketVanishes(t *testing.T) {
	for _, how := range []string{"delete", "purge", "delete everything"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			c := vanishing(t)
			a, b := c.join("a", nil), c.join("b", nil)
			active, _ := c.next()
			other := a
			if active == a {
				other = b
			}
			c.standsBy(other, active.name)
			for range 3 {
				c.vanish(how)
				late := active
				if how != "delete everything" {
					late = c.join("late", nil) // one that has never seen it
				}
				for end := time.Now().Add(2 * testTTL); time.Now().Before(end); time.Sleep(time.Millisecond) {
					held := 0
					for _, i := range c.instances {
						if i.lease.Held() == nil {
							held++
						}
					}
					if held > 1 {
						t.Fatalf("two are active\na: %s\nb: %s\nlate: %s", a.log, b.log, late.log)
					}
				}
				if late != active {
					late.Stop()
				}
				c.until("somebody is active", func() bool { return a.lease.Held() == nil || b.lease.Held() == nil })
			}
		})
	}
}

// The bucket vanishes together with the active instance: another one is active soon.
func TestLeaseThatVanishesWithItsHolder(t *testing.T) {
	for _, how := range []string{"delete", "purge"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			c := vanishing(t)
			a := c.join("a", nil)
			c.next()
			b := c.join("b", nil)
			c.standsBy(b, "a")
			a.nc.Close() // it cannot give the lease back
			c.vanish(how)
			next, took := c.next()
			if next != b || took > testTTL+3*time.Second {
				t.Errorf("%s is active after %v\n%s", next.name, took, b.log)
			}
		})
	}
}

// The bucket was emptied while nobody was active, and others write to it, to try whether
// that is possible: somebody becomes active all the same.
func TestLeaseOfAnEmptiedBucketThatOthersTry(t *testing.T) {
	c := vanishing(t)
	c.vanish("purge")
	tries := fleettest.Start(t, func(ctx context.Context) error {
		for ctx.Err() == nil {
			kv, err := c.js.KeyValue(ctx, stream.LeasesBucket)
			if err == nil {
				err = kv.Purge(ctx, "tried")
			}
			if err != nil && ctx.Err() == nil {
				return err
			}
			_ = health.Sleep(ctx, testTTL/4)
		}
		return ctx.Err()
	})
	defer tries.Stop()
	c.until("the bucket is written", func() bool { return !c.hasKeys() })
	time.Sleep(testTTL / 2)
	a := c.join("a", nil)
	if next, took := c.next(); next != a || took > testTTL+3*time.Second {
		t.Errorf("%s is active after %v\n%s", next.name, took, a.log)
	}
}
