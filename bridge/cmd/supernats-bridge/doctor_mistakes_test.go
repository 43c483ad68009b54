package main

import (
	"encoding/binary"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mistake is one that people make.
type mistake struct {
	name string
	make func(*installation)
	// check, message and fix are of what is to be found.
	check, message, fix string
	// refused means that supervisord refuses the whole configuration; needsRoot that it has
	// to change users; byHand that only people can fix it.
	refused, needsRoot, byHand bool
}

var mistakes = []mistake{
	{
		name:  "a buffer as small as supervisord's default",
		make:  func(in *installation) { in.section("buffer_size=65536\n", "") },
		check: "section", message: "buffer_size is 10", fix: "add buffer_size=65536 to [eventlistener:supernats] after",
	},
	{
		name:  "events without crashes and ticks",
		make:  func(in *installation) { in.section("events=PROCESS_STATE,", "events=PROCESS_STATE_RUNNING,") },
		check: "events", message: "nobody is notified of all crashes", fix: "write events=PROCESS_STATE,",
	},
	{
		name:  "a misspelt event",
		make:  func(in *installation) { in.section("events=PROCESS_STATE,", "events=PROCES_STATE,") },
		check: "config", message: "PROCES_STATE, which is no event", fix: "write events=PROCESS_STATE,", refused: true,
	},
	{
		name:  "no ticks",
		make:  func(in *installation) { in.section(",TICK,", ",") },
		check: "events", message: "neither TICK_5 nor TICK_60", fix: ",TICK at",
	},
	{
		name: "the priority of another listener",
		make: func(in *installation) {
			in.write(in.dir+"/conf.d/mail.conf", "[eventlistener:mail]\ncommand=sleep 1000\nevents=TICK_3600\npriority=-17\n")
		},
		check: "section", message: "priority -17 is that of the listener mail", fix: "write priority=-19 at",
	},
	{
		name:  "a program that is stopped after the bridge",
		make:  func(in *installation) { in.edit("conf.d/app.conf", "command", "priority=-100\ncommand") },
		check: "section", message: "app has -100", fix: "write priority=-117 at",
	},
	{
		name:  "startsecs as supervisord's default",
		make:  func(in *installation) { in.section("startsecs=0\n", "") },
		check: "section", message: "startsecs is 1", fix: "add startsecs=0",
	},
	{
		name:  "no restart",
		make:  func(in *installation) { in.section("autorestart=true\n", "autorestart=unexpected\n") },
		check: "section", message: "autorestart is unexpected", fix: "write autorestart=true",
	},
	{
		name:  "the protocol in a log",
		make:  func(in *installation) { in.section("stdout_logfile=NONE", "stdout_logfile="+in.dir+"/out.log") },
		check: "section", message: "where supervisord writes each answer", fix: "write stdout_logfile=NONE",
	},
	{
		name:  "the bridge's log in the protocol",
		make:  func(in *installation) { in.section("redirect_stderr=false", "redirect_stderr=true") },
		check: "config", message: "redirect_stderr is true", fix: "write redirect_stderr=false", refused: true,
	},
	{
		name:  "a log in no directory",
		make:  func(in *installation) { in.section(in.dir+"/bridge.log", in.dir+"/logs/bridge.log") },
		check: "config", message: "does not exist", fix: "mkdir -p", refused: true,
	},
	{
		name:  "a percent sign",
		make:  func(in *installation) { in.section("command="+in.program, "command="+in.program+" --nats-user 50%") },
		check: "config", message: "command= cannot be expanded", fix: "--nats-user 50%%", refused: true,
	},
	{
		name: "variables without quotation marks",
		make: func(in *installation) {
			in.section("priority=-17", "priority=-17\nenvironment=SUPERNATS_LOG_TAIL=4KiB,NOTE=a,b@c")
		},
		check: "config", message: "environment= cannot be read", fix: `write environment=SUPERNATS_LOG_TAIL="4KiB",NOTE="a,b@c"`,
		refused: true,
	},
	{
		name:  "killed while it publishes",
		make:  func(in *installation) { in.section("stopwaitsecs=10", "stopwaitsecs=3") },
		check: "section", message: "stopwaitsecs is 3 and --drain 5s", fix: "write stopwaitsecs=10",
	},
	{
		name:  "no program",
		make:  func(in *installation) { in.section("command="+in.program, "command=/opt/none/supernats-bridge") },
		check: "command", message: "there is no program /opt/none/supernats-bridge", fix: "write command=",
	},
	{
		name:  "a flag that is not one",
		make:  func(in *installation) { in.section("--host "+in.host, "--host "+in.host+" --spool-maximum 1GiB") },
		check: "command", message: "--spool-maximum", fix: "correct command=", byHand: true,
	},
	{
		name:  "a directory that is not there",
		make:  func(in *installation) { in.section("priority=-17", "priority=-17\ndirectory=/nowhere") },
		check: "command", message: "directory=/nowhere does not exist", fix: "remove directory= at",
	},
	{
		name: "output without a section",
		make: func(in *installation) {
			text := in.good[in.dir+"/conf.d/supernats.conf"]
			in.write(in.dir+"/conf.d/supernats.conf", text[:strings.Index(text, "[eventlistener:supernats-logs]")])
			in.edit("conf.d/app.conf", "command", "stdout_events_enabled=true\ncommand")
		},
		check: "events", message: "a program has its output published", fix: "add the section supernats-logs", byHand: true,
	},
	{
		name:  "no section",
		make:  func(in *installation) { _ = os.Rename(in.dir+"/conf.d/supernats.conf", in.dir+"/conf.d/supernats.ini") },
		check: "section", message: "supernats.ini has one, and [include]", fix: "supernats-bridge conf", byHand: true,
	},
	{
		name:  "a crash that is expected",
		make:  func(in *installation) { in.edit("conf.d/app.conf", "command", "exitcodes=0,1\ncommand") },
		check: "programs", message: "exitcodes is 0,1", fix: "write exitcodes=0 at",
	},
	{
		name:  "a log of everything",
		make:  func(in *installation) { in.edit("supervisord.conf", "childlogdir", "loglevel=debug\nchildlogdir") },
		check: "supervisord", message: "loglevel is debug", fix: "write loglevel=info",
	},
	{
		name:  "a log without reasons",
		make:  func(in *installation) { in.edit("supervisord.conf", "childlogdir", "loglevel=error\nchildlogdir") },
		check: "supervisord", message: "does not log why", fix: "write loglevel=info",
	},
	{
		name:  "a log that grows",
		make:  func(in *installation) { in.edit("supervisord.conf", "childlogdir", "logfile_maxbytes=0\nchildlogdir") },
		check: "supervisord", message: "grows until the disk is full", fix: "write logfile_maxbytes=50MB",
	},
	{
		name:  "no server",
		make:  func(in *installation) { in.edit("supervisord.conf", "[unix_http_server]", "[unix_http_servers]") },
		check: "rpc", message: "neither [unix_http_server] nor", fix: "add the lines [unix_http_server]", byHand: true,
	},
	{
		name: "a user that may not ask supervisord",
		make: func(in *installation) {
			in.section("priority=-17", "priority=-17\nuser=nobody")
			_ = os.Chmod(in.spool, 0o777)
		},
		check: "rpc", message: "runs as nobody, which may not connect", fix: "write chmod=0770 at", needsRoot: true,
		byHand: true,
	},
	{
		name: "a user that may not write to the spool",
		make: func(in *installation) {
			in.section("priority=-17", "priority=-17\nuser=nobody")
			_ = os.Chmod(in.spool, 0o700)
		},
		check: "spool", message: "nobody may not write to --spool-dir", fix: "install -d -o nobody", needsRoot: true, byHand: true,
	},
	{
		name:  "a user that is not there",
		make:  func(in *installation) { in.section("priority=-17", "priority=-17\nuser=no-such-user") },
		check: "config", message: "user=no-such-user", fix: "with the name of a user", refused: true, byHand: true,
	},
	{
		name: "another server of NATS",
		make: func(in *installation) {
			in.section("--host "+in.host, "--host "+in.host+" --nats-url nats://127.0.0.1:1")
		},
		check: "nats", message: "events wait in the spool", fix: "correct the --nats- flags", byHand: true,
	},
	{
		name: "no password of supervisord",
		make: func(in *installation) {
			in.edit("supervisord.conf", "chmod=0700", "username=a\npassword=b\nchmod=0700")
		},
		check: "rpc", message: "asks for a password", fix: "SUPERVISOR_USERNAME", byHand: true,
	},
	{
		name: "a section in two files",
		make: func(in *installation) {
			in.write(in.dir+"/conf.d/z-copy.conf", in.good[in.dir+"/conf.d/supernats.conf"])
		},
		check: "section", message: "it stands at", fix: "remove the section at", byHand: true,
	},
	{
		name: "another password of supervisord",
		make: func(in *installation) {
			in.edit("supervisord.conf", "chmod=0700", "username=a\npassword={SHA}e9d71f5ee7c92d6dc9e92ffdad17b8bd49418f98\nchmod=0700")
			in.section("priority=-17", "priority=-17\nenvironment=SUPERVISOR_USERNAME=\"a\",SUPERVISOR_PASSWORD=\"x\"")
		},
		check: "rpc", message: "another user name or password", fix: "correct SUPERVISOR_USERNAME and", byHand: true,
	},
	{
		name: "a pattern without a directory",
		make: func(in *installation) {
			in.edit("supervisord.conf", "/conf.d/*.conf", "/conf.d/*.conf /no/where/*.conf")
		},
		check: "config", message: "there is no directory /no/where", fix: "mkdir -p /no/where", byHand: true,
	},
	{
		name: "a pattern that matches no file",
		make: func(in *installation) {
			in.edit("supervisord.conf", "/conf.d/*.conf", "/conf.d/*.conf "+in.dir+"/conf.d/*.ini")
		},
		check: "config", message: "is not empty (app.conf)", fix: "correct files= at", byHand: true,
	},
	{
		name: "a variable that supervisord does not have",
		make: func(in *installation) {
			in.edit("supervisord.conf", "childlogdir", "umask=%(ENV_NO_SUCH)s\nchildlogdir")
		},
		check: "config", message: "umask= cannot be expanded", fix: "write umask=", byHand: true, refused: true,
	},
	{
		name:  "a program that is started again without end",
		make:  func(in *installation) { in.edit("conf.d/app.conf", "command", "startsecs=0\ncommand") },
		check: "programs", message: "it is never FATAL", fix: "write startsecs=1 at",
	},
	{
		name:  "a crash of a shell's command that is expected",
		make:  func(in *installation) { in.edit("conf.d/app.conf", "command", "exitcodes=0,137\ncommand") },
		check: "programs", message: "exitcodes is 0,137", fix: "write exitcodes=0 at",
	},
	{
		name:  "a program in two files",
		make:  func(in *installation) { in.write(in.dir+"/conf.d/z.conf", oneProgram) },
		check: "programs", message: "supervisord reads both as one", fix: "remove the section at", byHand: true,
	},
	{
		name:  "a program in a directory that is not there",
		make:  func(in *installation) { in.edit("conf.d/app.conf", "command", "directory=/nowhere\ncommand") },
		check: "programs", message: "directory=/nowhere does not exist", fix: "remove directory= at",
	},
	{
		name: "a spool that nobody may change",
		make: func(in *installation) {
			dir := in.otherSpool()
			if out, err := exec.Command("chattr", "+i", dir).CombinedOutput(); err != nil {
				in.Skipf("no flags here: %v: %s", err, out)
			}
			in.Cleanup(func() { _ = exec.Command("chattr", "-i", dir).Run() })
		},
		check: "spool", message: "immutable", fix: "chattr -i ", needsRoot: true,
	},
	{
		name:  "a spool on a file system that is read-only",
		make:  func(in *installation) { in.mount(in.otherSpool(), unix.MS_RDONLY) },
		check: "spool", message: "mounted read-only", fix: "mount -o remount,rw ", needsRoot: true, byHand: true,
	},
	{
		name: "a spool whose access list leaves out the user",
		make: func(in *installation) {
			in.section("priority=-17", "priority=-17\nuser=nobody")
			dir := in.otherSpool()
			_ = os.Chmod(dir, 0o777)
			in.deny(dir, "nobody")
		},
		check: "spool", message: "its access list (getfacl) denies it", fix: "setfacl -m u:nobody:wx ", needsRoot: true,
		byHand: true,
	},
	{
		name: "a program on a file system without programs",
		make: func(in *installation) {
			dir := in.dir + "/noexec"
			in.mount(dir, 0)
			text, err := os.ReadFile(in.program)
			if err != nil {
				in.Fatal(err)
			}
			if err := os.WriteFile(dir+"/supernats-bridge", text, 0o755); err != nil {
				in.Fatal(err)
			}
			if err := unix.Mount("none", dir, "", unix.MS_REMOUNT|unix.MS_NOEXEC, ""); err != nil {
				in.Fatal(err)
			}
			in.section("command="+in.program, "command="+dir+"/supernats-bridge")
		},
		check: "command", message: "mounted noexec", fix: "mount -o remount,exec ", needsRoot: true,
	},
	{
		name: "a log where supervisord may not write",
		make: func(in *installation) {
			dir := in.spool + "/logs"
			if err := os.Mkdir(dir, 0o755); err != nil {
				in.Fatal(err)
			}
			if out, err := exec.Command("chattr", "+i", dir).CombinedOutput(); err != nil {
				in.Skipf("no flags here: %v: %s", err, out)
			}
			in.Cleanup(func() {
				_ = exec.Command("chattr", "-i", dir).Run()
				_ = os.RemoveAll(dir)
			})
			in.edit("conf.d/app.conf", "command", "stdout_logfile="+dir+"/app.log\ncommand")
		},
		check: "config", message: "it cannot start the program", fix: "chattr -i ", needsRoot: true,
	},
}

// otherSpool gives the first section another directory for its spool.
func (in *installation) otherSpool() string {
	in.Helper()
	dir, err := os.MkdirTemp(in.spool, "other")
	if err != nil {
		in.Fatal(err)
	}
	in.section("--spool-dir "+in.spool, "--spool-dir "+dir)
	return dir
}

// mount puts a file system in memory at a directory for the length of a test.
func (in *installation) mount(dir string, flags uintptr) {
	in.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		in.Fatal(err)
	}
	if err := unix.Mount("none", dir, "tmpfs", flags, "mode=0755"); err != nil {
		in.Skipf("no file system can be mounted here: %v", err)
	}
	in.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

// deny gives a directory an access list that leaves nothing to a user.
func (in *installation) deny(dir, name string) {
	in.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		in.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	list := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range []struct {
		tag, rights uint16
		id          uint32
	}{{1, 7, 1<<32 - 1}, {2, 0, uint32(uid)}, {4, 7, 1<<32 - 1}, {0x10, 7, 1<<32 - 1}, {0x20, 7, 1<<32 - 1}} {
		list = binary.LittleEndian.AppendUint16(list, e.tag)
		list = binary.LittleEndian.AppendUint16(list, e.rights)
		list = binary.LittleEndian.AppendUint32(list, e.id)
	}
	if err := unix.Setxattr(dir, "system.posix_acl_access", list, 0); err != nil {
		in.Skipf("no access lists here: %v", err)
	}
}
