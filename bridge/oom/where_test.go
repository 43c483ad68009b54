package oom

import (
	"testing"

	"supernats/schema"
)

// Where memory ran out, in all the ways in which cgroups are mounted and named.
func TestWhere(t *testing.T) {
	const v2, v1 = "/ /sys/fs/cgroup cgroup2 rw,nsdelegate", "/ /sys/fs/cgroup/memory cgroup rw,memory"
	for _, tt := range []struct {
		name   string
		before func(f *fake)
		runs   string // in which cgroup
		after  func(f *fake)
		want   *schema.OOM
	}{
		{
			name: "v2, its own limit", runs: "0::/app",
			before: func(f *fake) { f.mounts(v2); f.v2("sys/fs/cgroup/app", 1, 1, "1000", "990") },
			after:  func(f *fake) { f.v2("sys/fs/cgroup/app", 2, 2, "1000", "1000") },
			want:   &schema.OOM{Cgroup: "/app", Limit: 1000, Peak: 1000},
		},
		{
			name: "v2, not raised", runs: "0::/app",
			before: func(f *fake) { f.mounts(v2); f.v2("sys/fs/cgroup/app", 1, 1, "1000", "990") },
			after:  func(*fake) {},
		},
		{
			name: "v2, somebody below", runs: "0::/app",
			before: func(f *fake) { f.mounts(v2); f.v2("sys/fs/cgroup/app", 1, 1, "1000", "990") },
			after: func(f *fake) {
				f.write("sys/fs/cgroup/app/memory.events", "oom 2\noom_kill 2\n")
			},
		},
		{
			name: "v2, the limit of a group above", runs: "0::/slice/app",
			before: func(f *fake) {
				f.mounts(v2)
				f.v2("sys/fs/cgroup/slice", 0, 0, "5000", "1")
				f.v2("sys/fs/cgroup/slice/app", 1, 1, "max", "1")
			},
			after: func(f *fake) {
				f.v2("sys/fs/cgroup/slice", 1, 0, "5000", "4999")
				f.v2("sys/fs/cgroup/slice/app", 1, 2, "max", "2000")
			},
			want: &schema.OOM{Cgroup: "/slice", Limit: 5000, Peak: 4999},
		},
		{
			name: "v2, a group without the controller", runs: "0::/app/inner/most",
			before: func(f *fake) {
				f.mounts(v2)
				f.v2("sys/fs/cgroup/app", 0, 0, "1000", "1")
				f.write("sys/fs/cgroup/app/inner/most/cgroup.procs", "")
			},
			after: func(f *fake) { f.v2("sys/fs/cgroup/app", 1, 1, "1000", "1000") },
			want:  &schema.OOM{Cgroup: "/app", Limit: 1000, Peak: 1000},
		},
		{
			name: "v2 before memory.peak and memory.events.local", runs: "0::/app",
			before: func(f *fake) {
				f.mounts(v2)
				f.v2("sys/fs/cgroup/app", 0, 0, "1000", "")
				f.remove("sys/fs/cgroup/app/memory.events.local")
			},
			after: func(f *fake) { f.write("sys/fs/cgroup/app/memory.events", "oom 1\noom_kill 1\n") },
			want:  &schema.OOM{Cgroup: "/app", Limit: 1000, Peak: 1000},
		},
		{
			name: "v2, the machine", runs: "0::/app",
			before: func(f *fake) { f.mounts(v2); f.v2("sys/fs/cgroup/app", 3, 0, "max", "1") },
			after:  func(f *fake) { f.v2("sys/fs/cgroup/app", 3, 1, "max", "2000") },
			want:   &schema.OOM{Cgroup: "/", Limit: 16 << 20},
		},
		{
			name: "v2, the root", runs: "0::/",
			before: func(f *fake) { f.mounts(v2); f.v2("sys/fs/cgroup/other", 0, 0, "max", "1") },
			after:  func(f *fake) { f.kills(1) },
			want:   &schema.OOM{Cgroup: "/", Limit: 16 << 20},
		},
		{
			name: "v2, the root, and another group's", runs: "0::/",
			before: func(f *fake) { f.mounts(v2); f.v2("sys/fs/cgroup/other", 0, 0, "max", "1") },
			after:  func(f *fake) { f.kills(1); f.v2("sys/fs/cgroup/other", 1, 1, "max", "1") },
		},
		{
			name: "v2, the root, and another group's that is gone", runs: "0::/",
			before: func(f *fake) { f.mounts(v2); f.v2("sys/fs/cgroup/other", 0, 0, "max", "1") },
			after:  func(f *fake) { f.kills(1); f.remove("sys/fs/cgroup/other") },
		},
		{
			name: "v2, a container's own namespace", runs: "0::/",
			before: func(f *fake) {
				f.link("proc/self/ns/cgroup", "cgroup:[4026532599]")
				f.mounts(v2)
				f.v2("sys/fs/cgroup", 0, 0, "1000", "1")
			},
			after: func(f *fake) { f.v2("sys/fs/cgroup", 1, 1, "1000", "1000") },
			want:  &schema.OOM{Cgroup: "/", Limit: 1000, Peak: 1000},
		},
		{
			name: "v2, a limit outside of the container", runs: "0::/",
			before: func(f *fake) {
				f.link("proc/self/ns/cgroup", "cgroup:[4026532599]")
				f.mounts(v2)
				f.v2("sys/fs/cgroup", 0, 0, "5000", "1")
			},
			after: func(f *fake) { f.v2("sys/fs/cgroup", 0, 1, "5000", "1000") },
			want:  &schema.OOM{Cgroup: "/", Peak: 1000},
		},
		{
			name: "v2, a process outside of the container", runs: "0::/../other",
			before: func(f *fake) { f.mounts(v2); f.v2("sys/fs/other", 0, 0, "5000", "1") },
			after:  func(f *fake) { f.v2("sys/fs/other", 1, 1, "5000", "1") },
		},
		{
			name: "v2, mounted from outside of the namespace", runs: "0::/../app",
			before: func(f *fake) {
				f.mounts("/.. /sys/fs/cgroup cgroup2 rw")
				f.v2("sys/fs/cgroup/app", 0, 0, "5000", "1")
			},
			after: func(f *fake) { f.v2("sys/fs/cgroup/app", 1, 1, "5000", "5000") },
			want:  &schema.OOM{Cgroup: "/../app", Limit: 5000, Peak: 5000},
		},
		{
			name: "v1, its own limit", runs: "4:cpu,cpuacct:/\n3:memory:/app\n0::/",
			before: func(f *fake) {
				f.mounts(v1)
				f.v1("sys/fs/cgroup/memory", 0, unlimited, "1")
				f.v1("sys/fs/cgroup/memory/app", 0, "1000", "1")
			},
			after: func(f *fake) { f.v1("sys/fs/cgroup/memory/app", 1, "1000", "1000") },
			want:  &schema.OOM{Cgroup: "/app", Limit: 1000, Peak: 1000},
		},
		{
			name: "v1, the limit of a group above", runs: "3:memory:/slice/app",
			before: func(f *fake) {
				f.mounts(v1)
				f.v1("sys/fs/cgroup/memory/slice", 0, "5000", "5000")
				f.v1("sys/fs/cgroup/memory/slice/app", 0, "4000", "1")
			},
			after: func(f *fake) { f.v1("sys/fs/cgroup/memory/slice/app", 1, "4000", "3000") },
			want:  &schema.OOM{Cgroup: "/slice", Limit: 5000, Peak: 5000},
		},
		{
			name: "v1, the machine", runs: "3:memory:/app",
			before: func(f *fake) { f.mounts(v1); f.v1("sys/fs/cgroup/memory/app", 0, unlimited, "1") },
			after:  func(f *fake) { f.v1("sys/fs/cgroup/memory/app", 1, unlimited, "3000") },
			want:   &schema.OOM{Cgroup: "/", Limit: 16 << 20},
		},
		{
			name: "v1, a container without a namespace", runs: "3:memory:/docker/a1\n0::/docker/a1",
			before: func(f *fake) {
				f.mounts("/docker/a1 /sys/fs/cgroup/memory cgroup ro,memory")
				f.v1("sys/fs/cgroup/memory", 0, "1000", "1")
			},
			after: func(f *fake) { f.v1("sys/fs/cgroup/memory", 1, "1000", "1000") },
			want:  &schema.OOM{Cgroup: "/docker/a1", Limit: 1000, Peak: 1000},
		},
		{
			name: "v1, a name that begins like the container's", runs: "3:memory:/docker/a12",
			before: func(f *fake) {
				f.mounts("/docker/a1 /sys/fs/cgroup/memory cgroup ro,memory")
				f.v1("sys/fs/cgroup/memory2", 0, "1000", "1")
			},
			after: func(f *fake) { f.v1("sys/fs/cgroup/memory2", 1, "1000", "1000") },
		},
		{
			name: "hybrid: memory in v1", runs: "3:memory:/app\n0::/app",
			before: func(f *fake) {
				f.mounts("/ /sys/fs/cgroup/unified cgroup2 rw", v1)
				f.write("sys/fs/cgroup/unified/app/cgroup.procs", "")
				f.v1("sys/fs/cgroup/memory/app", 0, "1000", "1")
			},
			after: func(f *fake) { f.v1("sys/fs/cgroup/memory/app", 1, "1000", "1000") },
			want:  &schema.OOM{Cgroup: "/app", Limit: 1000, Peak: 1000},
		},
		{
			name: "hybrid: memory in v2", runs: "3:cpu:/\n0::/app",
			before: func(f *fake) {
				f.mounts("/ /sys/fs/cgroup/cpu cgroup rw,cpu", "/ /sys/fs/cgroup/uni\\040fied cgroup2 rw")
				f.v2("sys/fs/cgroup/uni fied/app", 0, 0, "1000", "1")
			},
			after: func(f *fake) { f.v2("sys/fs/cgroup/uni fied/app", 1, 1, "1000", "1000") },
			want:  &schema.OOM{Cgroup: "/app", Limit: 1000, Peak: 1000},
		},
		{
			name: "no cgroups", runs: "0::/app",
			before: func(f *fake) { f.mounts() },
			after:  func(f *fake) { f.kills(1) },
		},
		{
			name: "before oom_kill", runs: "0::/app",
			before: func(f *fake) {
				f.mounts(v2)
				f.v2("sys/fs/cgroup/app", 0, 0, "1000", "1")
				f.write("sys/fs/cgroup/app/memory.events.local", "oom 0\n")
				f.write("proc/vmstat", "nr_free_pages 1\n")
			},
			after: func(f *fake) { f.write("sys/fs/cgroup/app/memory.events.local", "oom 1\n") },
		},
		{
			name: "the group is gone", runs: "0::/app",
			before: func(f *fake) { f.mounts(v2); f.v2("sys/fs/cgroup/app", 0, 0, "1000", "1") },
			after:  func(f *fake) { f.kills(1); f.remove("sys/fs/cgroup/app") },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := machine(t)
			tt.before(f)
			f.process(70, tt.runs)
			w := f.watch()
			w.Follow(70)

			if tt.want != nil {
				f.kills(1)
			}
			tt.after(f)
			f.kill(70)
			check(t, w, 70, tt.want)
			if s := w.Stats(); s.Processes != 0 || s.Groups != 0 {
				t.Errorf("%+v is left", s)
			}
		})
	}
}
