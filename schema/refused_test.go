package schema

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"supernats/schema/schematest"
)

// The valid documents that the table of TestSchemasRefuse spoils.
const (
	logDocument = `{"specversion":"1.0","id":"web1/4f0c6d1e2a90b7c3/7/1","source":"/supervisor/web1/supervisor",
		"type":"org.supervisord.process_log.stdout","subject":"api:api_00","time":"2026-11-21T19:00:31.833512Z",
		"datacontenttype":"application/json","dataschema":"urn:supernats:event:1",
		"data":{"event":"PROCESS_LOG_STDOUT","host":"web1","server":"supervisor","boot":"4f0c6d1e2a90b7c3","serial":7,
		"pool":"supernats","poolserial":5,"group":"api","process":"api_00","pid":11167,"channel":"stdout","data":"a\n","part":1,"parts":2}}`
	tickDocument = `{"specversion":"1.0","id":"web1/4f0c6d1e2a90b7c3/7","source":"/supervisor/web1/",
		"type":"org.supervisord.tick.5","time":"2026-11-21T19:00:31.833512Z",
		"datacontenttype":"application/json","dataschema":"urn:supernats:event:1",
		"data":{"event":"TICK_5","host":"web1","server":"","boot":"4f0c6d1e2a90b7c3","serial":0,"pool":"supernats","poolserial":0,"when":1201063880}}`
	otherDocument = `{"specversion":"1.0","id":"web1/4f0c6d1e2a90b7c3/7","source":"/supervisor/web1/supervisor",
		"type":"org.supervisord.other.PROCESS_STATE_FROZEN","time":"2026-11-21T19:00:31.833512Z",
		"datacontenttype":"application/json","dataschema":"urn:supernats:event:1",
		"data":{"event":"PROCESS_STATE_FROZEN","host":"web1","server":"supervisor","boot":"4f0c6d1e2a90b7c3","serial":7,"pool":"supernats","poolserial":5,"extra":{"depth":"3"}}}`
	snapshotDocument = `{"specversion":"1.0","id":"1","source":"/supernats/web1","type":"supernats.snapshot","time":"2026-11-21T19:00:31.833512Z",
		"datacontenttype":"application/json","dataschema":"urn:supernats:snapshot:1",
		"data":{"host":"web1","server":"supervisor","boot":"4f0c6d1e2a90b7c3","serial":7,"reason":"start","supervisor_version":"4.2.5","supervisor_state":"RUNNING",
		"processes":[{"group":"api","process":"api_00","state":"RUNNING","pid":7,"start":1201063880,"stop":0,"exitstatus":0,"spawnerr":"","description":"","stdout_logfile":"","stderr_logfile":""}]}}`
	startedDocument = `{"specversion":"1.0","id":"1","source":"/supernats/web1","type":"supernats.bridge.started","time":"2026-11-21T19:00:31.833512Z",
		"datacontenttype":"application/json","dataschema":"urn:supernats:bridge:1",
		"data":{"host":"web1","server":"supervisor","boot":"4f0c6d1e2a90b7c3","pool":"supernats","bridge_version":"1","pid":7,"settings":{"host":"web1"}}}`
	lossDocument = `{"specversion":"1.0","id":"1","source":"/supernats/web1","type":"supernats.bridge.loss","time":"2026-11-21T19:00:31.833512Z",
		"datacontenttype":"application/json","dataschema":"urn:supernats:bridge:1",
		"data":{"host":"web1","boot":"4f0c6d1e2a90b7c3","pool":"supernats","cause":"spool-full","count":2,"events":{"TICK_5":2}}}`
	resolvedDocument = `{"specversion":"1.0","id":"1","source":"/supernats/web1","type":"supernats.alert.resolved","time":"2026-11-21T19:00:31.833512Z",
		"datacontenttype":"application/json","dataschema":"urn:supernats:alert:1",
		"data":{"alert":"1","rule":"fatal","severity":"critical","host":"web1","opened":"2026-11-21T19:00:31.833512Z","closed":"2026-11-21T19:01:31.833512Z","count":1,
		"events":[{"id":"1","time":"2026-11-21T19:00:31.833512Z","seq":1,"event":"PROCESS_STATE_FATAL","exit":{"spawnerr":"no"}}]}}`
	acknowledgedDocument = `{"specversion":"1.0","id":"2","source":"/supernats/web1","type":"supernats.alert.acknowledged","time":"2026-11-21T19:00:31.833512Z",
		"datacontenttype":"application/json","dataschema":"urn:supernats:alert:1",
		"data":{"alert":"1","rule":"fatal","severity":"critical","host":"web1","opened":"2026-11-21T19:00:31.833512Z","by":"ann","count":1,
		"acknowledged":{"by":"ann","since":"2026-11-21T19:00:31.833512Z"},"events":[]}}`
	ackDocument = `{"specversion":"1.0","id":"a","source":"/supernats/web1","type":"supernats.ack","time":"2026-11-21T19:00:31.833512Z",
		"datacontenttype":"application/json","dataschema":"urn:supernats:ack:1","data":{"alert":"1","rule":"fatal","host":"web1","by":"ann","for":"1h30m"}}`
	stateDocument = `{"host":"web1","group":"api","process":"api_00","state":"EXITED","since":"2026-11-21T19:00:31.833512Z","pid":0,"expected":false,"exit":{"signal":"SIGKILL"},
		"starts":1,"exits":1,"unexpected_exits":1,"fatals":0,"last_exit":"2026-11-21T19:00:31.833512Z","boot":"4f0c6d1e2a90b7c3","serial":7,"seq":9,"updated":"2026-11-21T19:00:31.833512Z"}`
)

func TestSchemasRefuse(t *testing.T) {
	const event, snapshot, bridge, alert, state = SchemaEvent, schemaSnapshot, schemaBridge, schemaAlert, "urn:supernats:state:1"
	for _, c := range []struct {
		id, document, changes string
		want                  string // "location keyword", several joined by ", "
	}{
		{id: event, document: schematest.ExitedDocument, changes: `{"id":null}`, want: "/ required"},
		{id: event, document: schematest.ExitedDocument, changes: `{"data":null}`, want: "/ required"},
		{id: event, document: schematest.ExitedDocument, changes: `{"data":[]}`, want: "/data type"},
		{id: event, document: schematest.ExitedDocument, changes: `{"id":""}`, want: "/id pattern"},
		{id: event, document: schematest.ExitedDocument, changes: `{"id":"web1/4f0c/1234"}`, want: "/id pattern"},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"id":"/4f0c6d1e2a90b7c3/1234"}`,
			want:     "/id pattern",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"id":"web1/4f0c6d1e2a90b7c3/1234/0"}`,
			want:     "/id pattern",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"id":"web1/4f0c6d1e2a90b7c3/01"}`,
			want:     "/id pattern",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"specversion":"0.3"}`,
			want:     "/specversion const",
		},
		{id: event, document: schematest.ExitedDocument, changes: `{"source":"web1"}`, want: "/source pattern"},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"source":"/supervisor/web1/%zz"}`,
			want:     "/source format",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"type":"org.supervisord.process_state.napping"}`,
			want:     "/type pattern",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"type":"org.supervisord.process_state.running"}`,
			want:     "/data/event const",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"type":"org.supervisord.other.PROCESS_STATE_EXITED"}`,
			want:     "/data/event not",
		},
		{id: event, document: schematest.ExitedDocument, changes: `{"subject":""}`, want: "/subject minLength"},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"time":"2026-11-21T19:00:31Z"}`,
			want:     "/time pattern",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"time":"2026-11-21T19:00:31.833512+00:00"}`,
			want:     "/time pattern",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"time":"2026-13-21T19:00:31.833512Z"}`,
			want:     "/time format",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"dataschema":"urn:supernats:event:2"}`,
			want:     "/dataschema const",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"datacontenttype":"text/plain"}`,
			want:     "/datacontenttype const",
		},
		{id: event, document: schematest.ExitedDocument, changes: `{"data_base64":"AA=="}`, want: "/ pattern"},
		{id: event, document: schematest.ExitedDocument, changes: `{"traceparent":{}}`, want: "/traceparent type"},
		{id: event, document: schematest.ExitedDocument, changes: `{"data":{"host":null}}`, want: "/data required"},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"host":""}}`,
			want:     "/data/host minLength",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"boot":"4F0C6D1E2A90B7C3"}}`,
			want:     "/data/boot pattern",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"boot":"4f0c6d1e2a90b7c"}}`,
			want:     "/data/boot pattern",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"serial":-1}}`,
			want:     "/data/serial minimum",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"serial":"1234"}}`,
			want:     "/data/serial type",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"poolserial":1.5}}`,
			want:     "/data/poolserial type",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"depth":"3"}}`,
			want:     "/data additionalProperties",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"process":null}}`,
			want:     "/data required",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"group":null}}`,
			want:     "/data dependentRequired/process, /data required",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"from_state":null}}`,
			want:     "/data required",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"from_state":"Running"}}`,
			want:     "/data/from_state enum",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"from_state":"running"}}`,
			want:     "/data/from_state enum",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"expected":null}}`,
			want:     "/data required",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"expected":0}}`,
			want:     "/data/expected const, /data/expected type",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"expected":true}}`,
			want:     "/data/expected const",
		},
		{id: event, document: schematest.ExitedDocument, changes: `{"data":{"pid":0}}`, want: "/data/pid minimum"},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"pid":"11167"}}`,
			want:     "/data/pid type",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"tries":-1}}`,
			want:     "/data/tries minimum",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"when":"now"}}`,
			want:     "/data/when type",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"type":"a"}}`,
			want:     "/data/type false",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"extra":{}}}`,
			want:     "/data/extra minProperties",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"extra":{"depth":3}}}`,
			want:     "/data/extra/depth type",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"exit":{"code":null}}}`,
			want:     "/data/exit required",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"exit":{"code":-1}}}`,
			want:     "/data/exit/code minimum",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"exit":{"code":256}}}`,
			want:     "/data/exit/code maximum",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"exit":{"signal":"SIGKILL"}}}`,
			want:     "/data/exit not",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"exit":{"code":null,"signal":"kill"}}}`,
			want:     "/data/exit/signal pattern",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"exit":{"core":true}}}`,
			want:     "/data/exit dependentRequired/core",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"exit":{"reason":"a"}}}`,
			want:     "/data/exit additionalProperties",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"exit":{"source":"guess"}}}`,
			want:     "/data/exit/source enum",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"exit":{"oom":{"cgroup":"/a"}}}}`,
			want:     "/data/exit dependentRequired/oom",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"exit":{"code":null,"signal":"SIGKILL","oom":{"limit":1}}}}`,
			want:     "/data/exit/oom required",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"exit":{"code":null,"signal":"SIGKILL","oom":{"cgroup":""}}}}`,
			want:     "/data/exit/oom/cgroup minLength",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"exit":{"code":null,"signal":"SIGKILL","oom":{"cgroup":"/a","limit":0}}}}`,
			want:     "/data/exit/oom/limit minimum",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"exit":{"code":null,"signal":"SIGKILL","oom":{"cgroup":"/a","usage":1}}}}`,
			want:     "/data/exit/oom additionalProperties",
		},
		{id: event, document: schematest.ExitedDocument, changes: `{"data":{"ran":-1}}`, want: "/data/ran minimum"},
		{id: event, document: schematest.ExitedDocument, changes: `{"data":{"ran":"1s"}}`, want: "/data/ran type"},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"last":{"fds":3}}}`,
			want:     "/data/last required",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"last":{"time":"2026-11-21T19:00:31.833512Z","threads":0}}}`,
			want:     "/data/last/threads minimum",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"last":{"time":"2026-11-21T19:00:31.833512Z","cpu_seconds":0}}}`,
			want:     "/data/last/cpu_seconds exclusiveMinimum",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"last":{"time":"2026-11-21T19:00:31.833512Z","swap":1}}}`,
			want:     "/data/last additionalProperties",
		},
		{id: event, document: logDocument, changes: `{"data":{"ran":3}}`, want: "/data/event enum"},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"log":{"stderr":""}}}`,
			want:     "/data/log/stderr minLength",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"log":{"syslog":"a"}}}`,
			want:     "/data/log additionalProperties",
		},
		{
			id:       event,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"part":1,"parts":2}}`,
			want:     "/data required",
		},
		{id: event, document: logDocument, changes: `{"data":{"data_base64":"/w=="}}`, want: "/data not"},
		{
			id:       event,
			document: logDocument,
			changes:  `{"data":{"data":null,"data_base64":"/w="}}`,
			want:     "/data/data_base64 contentEncoding, /data/data_base64 minLength, /data/data_base64 pattern",
		},
		{id: event, document: logDocument, changes: `{"data":{"data":null}}`, want: "/data required"},
		{id: event, document: logDocument, changes: `{"data":{"data":7}}`, want: "/data/data type"},
		{
			id:       event,
			document: logDocument,
			changes:  `{"data":{"channel":null}}`,
			want:     "/data dependentRequired/process",
		},
		{id: event, document: logDocument, changes: `{"data":{"channel":"syslog"}}`, want: "/data/channel enum"},
		{
			id:       event,
			document: logDocument,
			changes:  `{"data":{"part":null}}`,
			want:     "/data dependentRequired/parts",
		},
		{
			id:       event,
			document: logDocument,
			changes:  `{"data":{"parts":null}}`,
			want:     "/data dependentRequired/part",
		},
		{id: event, document: logDocument, changes: `{"data":{"part":0}}`, want: "/data/part minimum"},
		{id: event, document: logDocument, changes: `{"data":{"parts":1}}`, want: "/data/parts minimum"},
		{id: event, document: logDocument, changes: `{"data":{"exit":{"code":3}}}`, want: "/data/event enum"},
		{id: event, document: logDocument, changes: `{"data":{"log":{"stdout":"a"}}}`, want: "/data/event enum"},
		{id: event, document: tickDocument, changes: `{"data":{"when":null}}`, want: "/data required"},
		{id: event, document: tickDocument, changes: `{"data":{"event":"TICK_60"}}`, want: "/data/event const"},
		{
			id:       event,
			document: tickDocument,
			changes:  `{"type":"org.supervisord.process_group.added","data":{"event":"PROCESS_GROUP_ADDED"}}`,
			want:     "/data required",
		},
		{
			id:       event,
			document: tickDocument,
			changes:  `{"type":"org.supervisord.remote_communication.-","data":{"event":"REMOTE_COMMUNICATION"}}`,
			want:     "/data required",
		},
		{id: event, document: otherDocument, changes: `{"data":{"event":""}}`, want: "/data/event minLength"},
		{
			id:       event,
			document: otherDocument,
			changes:  `{"data":{"event":"TICK_5","when":5}}`,
			want:     "/data/event not",
		},
		{
			id:       snapshot,
			document: snapshotDocument,
			changes:  `{"type":"supernats.bridge.started"}`,
			want:     "/type const",
		},
		{id: snapshot, document: snapshotDocument, changes: `{"source":"/supernats/"}`, want: "/source pattern"},
		{id: snapshot, document: snapshotDocument, changes: `{"data":{"processes":null}}`, want: "/data required"},
		{
			id:       snapshot,
			document: snapshotDocument,
			changes:  `{"data":{"processes":{}}}`,
			want:     "/data/processes type",
		},
		{
			id:       snapshot,
			document: snapshotDocument,
			changes:  `{"data":{"processes":[{}]}}`,
			want:     "/data/processes/0 required",
		},
		{
			id:       snapshot,
			document: snapshotDocument,
			changes:  `{"data":{"reason":"whim"}}`,
			want:     "/data/reason enum",
		},
		{
			id:       snapshot,
			document: snapshotDocument,
			changes:  `{"data":{"supervisor_state":"Running"}}`,
			want:     "/data/supervisor_state enum",
		},
		{id: snapshot, document: snapshotDocument, changes: `{"data":{"boot":""}}`, want: "/data/boot pattern"},
		{
			id:       snapshot,
			document: snapshotDocument,
			changes:  `{"data":{"uptime":1}}`,
			want:     "/data additionalProperties",
		},
		{id: bridge, document: startedDocument, changes: `{"type":"supernats.bridge.paused"}`, want: "/type enum"},
		{id: bridge, document: startedDocument, changes: `{"data":null}`, want: "/ required"},
		{id: bridge, document: startedDocument, changes: `{"data":{"settings":null}}`, want: "/data required"},
		{
			id:       bridge,
			document: startedDocument,
			changes:  `{"data":{"settings":{"host":1}}}`,
			want:     "/data/settings/host type",
		},
		{id: bridge, document: startedDocument, changes: `{"data":{"pid":0}}`, want: "/data/pid minimum"},
		{
			id:       bridge,
			document: startedDocument,
			changes:  `{"data":{"cause":"spool-full"}}`,
			want:     "/data additionalProperties",
		},
		{
			id:       bridge,
			document: startedDocument,
			changes:  `{"type":"supernats.bridge.loss"}`,
			want:     "/data additionalProperties, /data required",
		},
		{
			id:       bridge,
			document: lossDocument,
			changes:  `{"type":"supernats.bridge.reconnect"}`,
			want:     "/data additionalProperties, /data required",
		},
		{id: bridge, document: lossDocument, changes: `{"data":{"cause":"moths"}}`, want: "/data/cause enum"},
		{id: bridge, document: lossDocument, changes: `{"data":{"count":null}}`, want: "/data required"},
		{id: bridge, document: lossDocument, changes: `{"data":{"boot":"4f0c"}}`, want: "/data/boot pattern"},
		{
			id:       bridge,
			document: lossDocument,
			changes:  `{"data":{"events":{"TICK_5":"2"}}}`,
			want:     "/data/events/TICK_5 type",
		},
		{id: alert, document: resolvedDocument, changes: `{"data":{"closed":null}}`, want: "/data required"},
		{
			id:       alert,
			document: resolvedDocument,
			changes:  `{"data":{"opened":"yesterday"}}`,
			want:     "/data/opened format",
		},
		{
			id:       alert,
			document: resolvedDocument,
			changes:  `{"data":{"closed":"2026-11-21T19:00:31Z"}}`,
			want:     "/data/closed pattern",
		},
		{id: alert, document: resolvedDocument, changes: `{"type":"supernats.alert.closed"}`, want: "/type enum"},
		{id: alert, document: resolvedDocument, changes: `{"data":{"events":null}}`, want: "/data required"},
		{id: alert, document: resolvedDocument, changes: `{"data":{"quiet":false}}`, want: "/data/quiet const"},
		{id: alert, document: resolvedDocument, changes: `{"data":{"escalation":0}}`, want: "/data/escalation minimum"},
		{id: alert, document: acknowledgedDocument, changes: `{"data":{"by":null}}`, want: "/data required"},
		{id: alert, document: acknowledgedDocument, changes: `{"data":{"acknowledged":null}}`, want: "/data required"},
		{id: alert, document: acknowledgedDocument, changes: `{"data":{"acknowledged":{"by":null}}}`, want: "/data/acknowledged required"},
		{id: alert, document: acknowledgedDocument, changes: `{"type":"supernats.alert.unacknowledged"}`, want: "/data required"},
		{id: schemaAck, document: ackDocument, changes: `{"data":{"alert":null}}`, want: "/data required"},
		{id: schemaAck, document: ackDocument, changes: `{"data":{"by":""}}`, want: "/data/by minLength"},
		{id: schemaAck, document: ackDocument, changes: `{"data":{"for":"soon"}}`, want: "/data/for pattern"},
		{id: schemaAck, document: ackDocument, changes: `{"data":{"for":""}}`, want: "/data/for minLength"},
		{id: schemaAck, document: ackDocument, changes: `{"type":"supernats.acked"}`, want: "/type enum"},
		{
			id:       alert,
			document: resolvedDocument,
			changes:  `{"data":{"events":[{"id":"1"}]}}`,
			want:     "/data/events/0 required",
		},
		{id: alert, document: resolvedDocument, changes: `{"data":{"notify":[]}}`, want: "/data/notify minItems"},
		{
			id:       alert,
			document: resolvedDocument,
			changes:  `{"data":{"labels":{"a":1}}}`,
			want:     "/data/labels/a type",
		},
		{id: alert, document: resolvedDocument, changes: `{"data":{"rule":""}}`, want: "/data/rule minLength"},
		{id: alert, document: resolvedDocument, changes: `{"data":{"count":-1}}`, want: "/data/count minimum"},
		{id: state, document: stateDocument, changes: `{"state":"Exited"}`, want: "/state enum"},
		{id: state, document: stateDocument, changes: `{"since":null}`, want: "/ required"},
		{id: state, document: stateDocument, changes: `{"since":1795287631}`, want: "/since type"},
		{id: state, document: stateDocument, changes: `{"boot":"x"}`, want: "/boot pattern"},
		{id: state, document: stateDocument, changes: `{"exits":-1}`, want: "/exits minimum"},
		{id: state, document: stateDocument, changes: `{"exit":{"code":1}}`, want: "/exit not"},
		{id: state, document: stateDocument, changes: `{"specversion":"1.0"}`, want: "/ additionalProperties"},
	} {
		document := schematest.Patch(t, c.document, c.changes)
		if diff := cmp.Diff(c.want, strings.Join(validate(t, c.id, document), ", ")); diff != "" {
			t.Errorf("%s\nwith %s is refused for (-want +got):\n%s", c.id, c.changes, diff)
		}
	}
}

// What the table above spoils is valid as it stands, and so is what an
// extension of CloudEvents adds.
func TestSchemasAccept(t *testing.T) {
	for _, c := range []struct{ id, document, changes string }{
		{id: SchemaEvent, document: schematest.ExitedDocument, changes: `{}`},
		{
			id:       SchemaEvent,
			document: schematest.ExitedDocument,
			changes:  `{"traceparent":"00-1","sampledrate":30,"urgent":true}`,
		},
		{id: SchemaEvent, document: schematest.ExitedDocument, changes: `{"id":"a/b\nc/4f0c6d1e2a90b7c3/0"}`},
		{
			id:       SchemaEvent,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"pid":null,"exit":null,"log":null,"expected":true}}`,
		},
		{
			id:       SchemaEvent,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"exit":{"code":null,"signal":"signal 35","core":true,"spawnerr":"a"}}}`,
		},
		{
			id:       SchemaEvent,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"exit":{"code":null,"signal":"SIGKILL","source":"pidfd","oom":{"cgroup":"/"}},"ran":0,"last":{"time":"2026-11-21T19:00:31.833512Z"}}}`,
		},
		{
			id:       SchemaEvent,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"exit":null,"expected":true,"ran":3.25}}`,
		},
		{
			id:       SchemaEvent,
			document: schematest.ExitedDocument,
			changes:  `{"type":"org.supervisord.process_state.stopped","data":{"event":"PROCESS_STATE_STOPPED","exit":null,"log":null,"ran":3.25}}`,
		},
		{
			id:       SchemaEvent,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"process":null,"from_state":null,"expected":null,"data":"what came"}}`,
		},
		{
			id:       SchemaEvent,
			document: schematest.ExitedDocument,
			changes:  `{"data":{"process":null,"from_state":null,"expected":null,"data_base64":"/w=="}}`,
		},
		{id: SchemaEvent, document: logDocument, changes: `{}`},
		{id: SchemaEvent, document: tickDocument, changes: `{}`},
		{id: SchemaEvent, document: otherDocument, changes: `{}`},
		{id: schemaSnapshot, document: snapshotDocument, changes: `{}`},
		{id: schemaSnapshot, document: snapshotDocument, changes: `{"data":{"processes":[]}}`},
		{id: schemaBridge, document: startedDocument, changes: `{}`},
		{id: schemaBridge, document: lossDocument, changes: `{}`},
		{id: schemaAlert, document: resolvedDocument, changes: `{}`},
		{id: "urn:supernats:state:1", document: stateDocument, changes: `{}`},
	} {
		document := schematest.Patch(t, c.document, c.changes)
		if got := validate(t, c.id, document); got != nil {
			t.Errorf("%s\nwith %s is refused for %q", c.id, c.changes, got)
		}
	}
}
