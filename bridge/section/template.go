package section

import "text/template"

// confTemplate prints sections. Each comment stands once, in the section that has it first.
var confTemplate = template.Must(template.New("conf").Parse(confText))

const confText = `; Publishes every event of this supervisord to NATS JetStream.
; Put it into supervisord.conf or a file of its [include], then run
;   supervisorctl update
{{- range .Sections}}
{{- if .Logs}}

; The output of programs with stdout_events_enabled, stderr_events_enabled or a
; capture. supervisord keeps events for each section by itself: in one with the
; other events, a program that writes a lot pushes crashes out of the buffer.
; The bridge of the section above starts this one when there is such a program.
{{- end}}
[eventlistener:{{.Name}}]
command={{.Command}}
{{- if .Logs}}
; TICK_3600 is how a broken pipe is noticed. It is published by the other section,
; so not by this one (--skip TICK).
{{- else if $.Two}}
; Everything but the output of programs, which the section below is for; what
; nobody reads costs little. TICK_5 or TICK_60 must be among the events if you
; choose some: their silence is how a broken pipe is noticed.
{{- else}}
; Everything; what nobody reads costs little. TICK_5 or TICK_60 must be among
; the events if you choose some: their silence is how a broken pipe is noticed.
{{- end}}
events={{.Events}}
{{- if .Logs}}
; Each holds up to 64 KiB of output, in supervisord's memory. When the buffer is
; full supervisord drops the oldest one, which is counted and reported.
buffer_size={{.Buffer}}
; The rest is as in the section above, where it is explained.
startsecs=0
numprocs=1
{{- else}}
; supervisord's default is 10, and when the buffer is full it drops the oldest
; event: the events of a start of ten programs would not fit.
buffer_size={{.Buffer}}
; Nothing is delivered before the listener counts as started: with the default
; of 1 the events of the first second would wait in the buffer.
startsecs=0
; Several processes would divide the events among them, out of order.
numprocs=1
{{- end}}
process_name={{.Name}}
{{- if not .Logs}}
; Started before and stopped after all programs. Unlike any other listener's: an
; event that a listener answers with FAIL is offered again to every listener
; that has the same priority.
{{- end}}
priority={{.Priority}}
autostart={{if .Logs}}false{{else}}true{{end}}
{{- if not .Logs}}
; Also after an exit that it meant: a listener is needed always.
{{- end}}
autorestart=true
{{- if not .Logs}}
; SIGTERM, then time to publish what was accepted (--drain), then SIGKILL.
{{- end}}
stopsignal=TERM
stopwaitsecs=10
{{- if not .Logs}}
; Standard output carries the protocol. It must not be mixed with errors, and
; logging it is of no use and has kept supervisord at 100 % CPU when the log
; was rotated.
{{- end}}
redirect_stderr=false
stdout_logfile=NONE
{{- if .Container}}
{{- if not .Logs}}
; What a container's runtime collects; it cannot be rotated.
{{- end}}
stderr_logfile={{.Stderr}}
stderr_logfile_maxbytes=0
{{- else}}
{{- if not .Logs}}
; Its directory has to exist, and supervisord has to be allowed to write there. With
; AUTO each update would leave a file, and a start of supervisord remove them.
{{- end}}
stderr_logfile={{.Stderr}}
stderr_logfile_maxbytes=10MB
stderr_logfile_backups=2
{{- end}}
{{- end}}
`
