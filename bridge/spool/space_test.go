package spool

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"supernats/bridge/spool/files"
)

// freeSpace is a file system with a given size and room.
type freeSpace struct {
	files.System
	free, total uint64
}

func (f freeSpace) Space(string) (free, total uint64, err error) { return f.free, f.total, nil }

// 64 MiB are left to others, or a fiftieth of a small file system.
func TestSpace(t *testing.T) {
	const mib = 1 << 20
	for _, tc := range []struct {
		name        string
		free, total uint64
		want        error
	}{
		{name: "large, below the reserve", free: 65*mib + 99, total: 100 << 30, want: ErrDiskFull},
		{name: "large", free: 65*mib + 100, total: 100 << 30},
		{name: "small, below the reserve", free: 3*mib + 99, total: 100 * mib, want: ErrDiskFull},
		{name: "small", free: 3*mib + 100, total: 100 * mib},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := space{fs: freeSpace{free: tc.free, total: tc.total}, unseen: spaceEvery}
			if err := p.check(100); !errors.Is(err, tc.want) {
				t.Errorf("error is %v, want %v", err, tc.want)
			}
			if got, want := p.isDue(1), tc.want != nil; got != want {
				t.Errorf("another check is due: %v, want %v", got, want)
			}
		})
	}
}

// A write that fails for lack of room makes a check due.
func TestSpaceFailed(t *testing.T) {
	var p space
	if err := p.failed("append", syscall.EIO); errors.Is(err, ErrDiskFull) || p.isDue(1) {
		t.Errorf("error is %v", err)
	}
	if err := p.failed("append", fmt.Errorf("write: %w", syscall.ENOSPC)); !errors.Is(err, ErrDiskFull) || !p.isDue(1) {
		t.Errorf("error is %v", err)
	}
}
