package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"supernats/bridge/doctor"
	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema/checkup"
)

// Whatever a configuration names, the doctor ends in time, says what does not answer, makes
// its other checks, and changes nothing.
func TestDoctorNeverHangs(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: waits for what does not answer")
	}
	const section = "\n[eventlistener:supernats]\ncommand=/usr/bin/env supernats-bridge --host none --nats-url nats://127.0.0.1:1 %s\n" +
		"events=EVENT\nbuffer_size=65536\n"

	for _, c := range []struct {
		name string
		// make returns the configuration of a directory.
		make func(t *testing.T, dir string) string
		// want are in messages; others says that the checks after it are made.
		want   []string
		others bool
	}{
		{
			name: "a configuration that is a pipe",
			make: func(t *testing.T, dir string) string { mkfifo(t, dir+"/supervisord.conf"); return "" },
			want: []string{"not a regular file"},
		},
		{
			name: "a configuration without end",
			make: func(t *testing.T, dir string) string {
				if err := os.Truncate(create(t, dir+"/supervisord.conf"), 1<<40); err != nil {
					t.Skip(err)
				}
				return ""
			},
			want: []string{"too large"},
		},
		{
			name: "an included pipe",
			make: func(t *testing.T, dir string) string {
				mkfifo(t, dir+"/a.conf")
				return "[supervisord]\n[include]\nfiles=*.conf\n"
			},
			want: []string{"a.conf: not a regular file"},
		},
		{
			name: "credentials and a log that are pipes",
			make: func(t *testing.T, dir string) string {
				mkfifo(t, dir+"/creds")
				mkfifo(t, dir+"/log")
				return "[supervisord]\nlogfile=" + dir + "/log\n" + fmt.Sprintf(section, "--nats-creds "+dir+"/creds") +
					"stderr_logfile=" + dir + "/log\n"
			},
			want: []string{"/creds: it is no file"}, others: true,
		},
		{
			name: "a supervisord that accepts and says nothing",
			make: func(t *testing.T, dir string) string {
				mute(t, "unix", dir+"/s")
				// This process, whose command line has the word supervisord, stands for one.
				sleeper := exec.Command("sh", "-c", "exec sleep 1000 # supervisord")
				sleeper.Args = []string{"supervisord", "-c", "sleep 1000"}
				if err := sleeper.Start(); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = sleeper.Process.Kill(); _ = sleeper.Wait() })
				pid := create(t, dir+"/pid")
				if err := os.WriteFile(pid, fmt.Appendln(nil, sleeper.Process.Pid), 0o600); err != nil {
					t.Fatal(err)
				}
				return "[supervisord]\npidfile=" + pid + "\n[unix_http_server]\nfile=" + dir + "/s\n" +
					"[rpcinterface:supervisor]\n" + fmt.Sprintf(section, "")
			},
			want: []string{"cannot ask supervisord"}, others: true,
		},
		{
			name: "a NATS that accepts and says nothing",
			make: func(t *testing.T, _ string) string {
				return "[supervisord]\n" + fmt.Sprintf(section, "--nats-url nats://"+mute(t, "tcp", "127.0.0.1:0"))
			},
			want: []string{"events wait in the spool"}, others: true,
		},
		{
			name: "a spool on a file system that does not answer",
			make: func(t *testing.T, dir string) string {
				return "[supervisord]\n" + fmt.Sprintf(section, "--spool-dir "+hang(t, dir)+"/spool")
			},
			want: []string{"/dead/spool does not answer"}, others: true,
		},
		{
			name: "a configuration on a file system that does not answer",
			make: func(t *testing.T, dir string) string {
				dead := hang(t, dir)
				if err := os.Symlink(dead+"/conf", dir+"/supervisord.conf"); err != nil {
					t.Fatal(err)
				}
				return ""
			},
			want: []string{"supervisord.conf does not answer"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := supervisordtest.Dir(t)
			conf := dir + "/supervisord.conf"
			if text := c.make(t, dir); text != "" {
				if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			before := namesIn(t, dir)

			begun := time.Now()
			cmd := exec.Command(bin+"/supernats-bridge", "doctor", "-o", "json", "--supervisord-conf", conf)
			cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
			out, _ := cmd.Output()
			if took := time.Since(begun); took > doctor.Timeout+10*time.Second {
				t.Errorf("it took %v", took)
			}

			var found []checkup.Finding
			if err := json.Unmarshal(out, &found); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			for _, want := range c.want {
				i := slices.IndexFunc(found, func(f checkup.Finding) bool { return strings.Contains(f.Message, want) })
				if i < 0 || found[i].Status == checkup.OK || found[i].Fix == "" {
					t.Errorf("no %q with a fix: %+v", want, found)
				}
			}
			others := slices.ContainsFunc(found, func(f checkup.Finding) bool { return f.Check == "others" })
			if others != c.others {
				t.Errorf("the checks after it: %v; %+v", others, found)
			}
			if after := namesIn(t, dir); !slices.Equal(before, after) {
				t.Errorf("it has left %q, and there was %q", after, before)
			}
		})
	}
}

// namesIn are the files in a directory.
func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func mkfifo(t *testing.T, path string) {
	t.Helper()
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, path string) string {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mute listens, accepts and never says anything; it returns its address.
func mute(t *testing.T, network, address string) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
		}
	}()
	return l.Addr().String()
}

// hang mounts a file system that takes every request and answers none, as a network's whose
// server is gone, and returns its directory.
func hang(t *testing.T, dir string) string {
	t.Helper()
	dead := filepath.Join(dir, "dead")
	if err := os.Mkdir(dead, 0o755); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no file system of our own here: %v", err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd)
	if err := unix.Mount("dead", dead, "fuse", 0, options); err != nil {
		_ = unix.Close(fd)
		t.Skipf("no file system of our own here: %v", err)
	}
	t.Cleanup(func() {
		_ = unix.Unmount(dead, unix.MNT_FORCE|unix.MNT_DETACH)
		_ = unix.Close(fd) // ends all requests
	})

	// fuse_in_header, and fuse_init_out after fuse_out_header (linux/fuse.h).
	request := make([]byte, 1<<17)
	if _, err := unix.Read(fd, request); err != nil {
		t.Fatal(err)
	}
	answer := binary.LittleEndian.AppendUint32(nil, 80)
	answer = binary.LittleEndian.AppendUint32(answer, 0)
	answer = append(answer, request[8:16]...)
	for _, word := range []uint32{7, 31, 1 << 16, 0, 12 | 9<<16, 1 << 16, 1} {
		answer = binary.LittleEndian.AppendUint32(answer, word)
	}
	answer = append(answer, make([]byte, 80-len(answer))...)
	if _, err := unix.Write(fd, answer); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			if _, err := unix.Read(fd, request); err != nil && err != unix.EINTR && err != unix.EAGAIN {
				return
			}
		}
	}()
	return dead
}
