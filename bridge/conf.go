package bridge

import (
	"fmt"
	"io"
	"strings"
)

// WriteConf prints an [eventlistener:supernats] section that loses nothing.
// command is what supervisord shall run.
func WriteConf(w io.Writer, command []string) error {
	words := make([]string, len(command))
	for i, word := range command {
		if strings.ContainsAny(word, "\r\n") {
			return fmt.Errorf("write %q into supervisord's configuration: it cannot hold a line break", word)
		}
		words[i] = confWord(word)
	}
	_, err := fmt.Fprintf(w, section, strings.Join(words, " "))
	return err
}

// confWord quotes one word of a command for supervisord: shlex, and % is its
// own sign for variables. A ; or # behind a space would begin a comment even
// inside of quotes: it gets a quote in front.
func confWord(word string) string {
	plain := func(r rune) bool {
		return r > ' ' && !strings.ContainsRune(`"'\;#`, r)
	}
	if word == "" || strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) >= 0 {
		word = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, ";", `"";`, "#", `""#`).Replace(word) + `"`
	}
	return strings.ReplaceAll(word, "%", "%%")
}

const section = `; Publishes every event of this supervisord to NATS JetStream.
; Put it into supervisord.conf or a file of its [include], then run
;   supervisorctl update
[eventlistener:supernats]
command=%s
; Everything; what nobody reads costs little. TICK_5 or TICK_60 must be among
; the events if you choose some: their silence is how a broken pipe is noticed.
events=EVENT
; supervisord's default is 10, and when the buffer is full it throws away the
; oldest event: the events of a start of ten programs would not fit.
buffer_size=65536
; Nothing is delivered before the listener counts as started: with the default
; of 1 the events of the first second would wait in the buffer.
startsecs=0
; Several processes would divide the events among them, out of order.
numprocs=1
process_name=supernats
; Started before and stopped after all programs. Unlike any other listener's: an
; event that a listener answers with FAIL is offered again to every listener
; that has the same priority.
priority=-17
autostart=true
; Also after an exit that it meant: a listener is needed always.
autorestart=true
; SIGTERM, then time to publish what was accepted (--drain), then SIGKILL.
stopsignal=TERM
stopwaitsecs=10
; Standard output carries the protocol. It must not be mixed with errors, and
; logging it is of no use and has kept supervisord at 100 %% CPU when the log
; was rotated.
redirect_stderr=false
stdout_logfile=NONE
stderr_logfile=AUTO
stderr_logfile_maxbytes=10MB
stderr_logfile_backups=2
`
