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
	stateDocument = `{"host":"web1","group":"api","process":"api_00","state":"EXITED","since":"2026-11-21T19:00:31.833512Z","pid":0,"expected":false,"exit":{"signal":"SIGKILL"},
		"starts":1,"exits":1,"unexpected_exits":1,"fatals":0,"last_exit":"2026-11-21T19:00:31.833512Z","boot":"4f0c6d1e2a90b7c3","serial":7,"seq":9,"updated":"2026-11-21T19:00:31.833512Z"}`
)

func TestSchemasRefuse(t *testing.T) {
	const event, snapshot, bridge, alert, state = SchemaEvent, schemaSnapshot, schemaBridge, schemaAlert, "urn:supernats:state:1"
	for _, c := range []struct {
		id, document, changes string
		want                  string // "location keyword", several joined by ", "
	}{
		{event, schematest.ExitedDocument, `{"id":null}`, "/ required"},
		{event, schematest.ExitedDocument, `{"data":null}`, "/ required"},
		{event, schematest.ExitedDocument, `{"data":[]}`, "/data type"},
		{event, schematest.ExitedDocument, `{"id":""}`, "/id pattern"},
		{event, schematest.ExitedDocument, `{"id":"web1/4f0c/1234"}`, "/id pattern"},
		{event, schematest.ExitedDocument, `{"id":"/4f0c6d1e2a90b7c3/1234"}`, "/id pattern"},
		{event, schematest.ExitedDocument, `{"id":"web1/4f0c6d1e2a90b7c3/1234/0"}`, "/id pattern"},
		{event, schematest.ExitedDocument, `{"id":"web1/4f0c6d1e2a90b7c3/01"}`, "/id pattern"},
		{event, schematest.ExitedDocument, `{"specversion":"0.3"}`, "/specversion const"},
		{event, schematest.ExitedDocument, `{"source":"web1"}`, "/source pattern"},
		{event, schematest.ExitedDocument, `{"source":"/supervisor/web1/%zz"}`, "/source format"},
		{event, schematest.ExitedDocument, `{"type":"org.supervisord.process_state.napping"}`, "/type pattern"},
		{event, schematest.ExitedDocument, `{"type":"org.supervisord.process_state.running"}`, "/data/event const"},
		{event, schematest.ExitedDocument, `{"type":"org.supervisord.other.PROCESS_STATE_EXITED"}`, "/data/event not"},
		{event, schematest.ExitedDocument, `{"subject":""}`, "/subject minLength"},
		{event, schematest.ExitedDocument, `{"time":"2026-11-21T19:00:31Z"}`, "/time pattern"},
		{event, schematest.ExitedDocument, `{"time":"2026-11-21T19:00:31.833512+00:00"}`, "/time pattern"},
		{event, schematest.ExitedDocument, `{"time":"2026-13-21T19:00:31.833512Z"}`, "/time format"},
		{event, schematest.ExitedDocument, `{"dataschema":"urn:supernats:event:2"}`, "/dataschema const"},
		{event, schematest.ExitedDocument, `{"datacontenttype":"text/plain"}`, "/datacontenttype const"},
		{event, schematest.ExitedDocument, `{"data_base64":"AA=="}`, "/ pattern"},
		{event, schematest.ExitedDocument, `{"traceparent":{}}`, "/traceparent type"},
		{event, schematest.ExitedDocument, `{"data":{"host":null}}`, "/data required"},
		{event, schematest.ExitedDocument, `{"data":{"host":""}}`, "/data/host minLength"},
		{event, schematest.ExitedDocument, `{"data":{"boot":"4F0C6D1E2A90B7C3"}}`, "/data/boot pattern"},
		{event, schematest.ExitedDocument, `{"data":{"boot":"4f0c6d1e2a90b7c"}}`, "/data/boot pattern"},
		{event, schematest.ExitedDocument, `{"data":{"serial":-1}}`, "/data/serial minimum"},
		{event, schematest.ExitedDocument, `{"data":{"serial":"1234"}}`, "/data/serial type"},
		{event, schematest.ExitedDocument, `{"data":{"poolserial":1.5}}`, "/data/poolserial type"},
		{event, schematest.ExitedDocument, `{"data":{"depth":"3"}}`, "/data additionalProperties"},
		{event, schematest.ExitedDocument, `{"data":{"process":null}}`, "/data required"},
		{event, schematest.ExitedDocument, `{"data":{"group":null}}`, "/data dependentRequired/process, /data required"},
		{event, schematest.ExitedDocument, `{"data":{"from_state":null}}`, "/data required"},
		{event, schematest.ExitedDocument, `{"data":{"from_state":"Running"}}`, "/data/from_state enum"},
		{event, schematest.ExitedDocument, `{"data":{"from_state":"running"}}`, "/data/from_state enum"},
		{event, schematest.ExitedDocument, `{"data":{"expected":null}}`, "/data required"},
		{event, schematest.ExitedDocument, `{"data":{"expected":0}}`, "/data/expected const, /data/expected type"},
		{event, schematest.ExitedDocument, `{"data":{"expected":true}}`, "/data/expected const"},
		{event, schematest.ExitedDocument, `{"data":{"pid":0}}`, "/data/pid minimum"},
		{event, schematest.ExitedDocument, `{"data":{"pid":"11167"}}`, "/data/pid type"},
		{event, schematest.ExitedDocument, `{"data":{"tries":-1}}`, "/data/tries minimum"},
		{event, schematest.ExitedDocument, `{"data":{"when":"now"}}`, "/data/when type"},
		{event, schematest.ExitedDocument, `{"data":{"type":"a"}}`, "/data/type false"},
		{event, schematest.ExitedDocument, `{"data":{"extra":{}}}`, "/data/extra minProperties"},
		{event, schematest.ExitedDocument, `{"data":{"extra":{"depth":3}}}`, "/data/extra/depth type"},
		{event, schematest.ExitedDocument, `{"data":{"exit":{"code":null}}}`, "/data/exit required"},
		{event, schematest.ExitedDocument, `{"data":{"exit":{"code":-1}}}`, "/data/exit/code minimum"},
		{event, schematest.ExitedDocument, `{"data":{"exit":{"code":256}}}`, "/data/exit/code maximum"},
		{event, schematest.ExitedDocument, `{"data":{"exit":{"signal":"SIGKILL"}}}`, "/data/exit not"},
		{event, schematest.ExitedDocument, `{"data":{"exit":{"code":null,"signal":"kill"}}}`, "/data/exit/signal pattern"},
		{event, schematest.ExitedDocument, `{"data":{"exit":{"core":true}}}`, "/data/exit dependentRequired/core"},
		{event, schematest.ExitedDocument, `{"data":{"exit":{"reason":"a"}}}`, "/data/exit additionalProperties"},
		{event, schematest.ExitedDocument, `{"data":{"exit":{"source":"guess"}}}`, "/data/exit/source enum"},
		{event, schematest.ExitedDocument, `{"data":{"exit":{"oom":{"cgroup":"/a"}}}}`, "/data/exit dependentRequired/oom"},
		{event, schematest.ExitedDocument, `{"data":{"exit":{"code":null,"signal":"SIGKILL","oom":{"limit":1}}}}`, "/data/exit/oom required"},
		{event, schematest.ExitedDocument, `{"data":{"exit":{"code":null,"signal":"SIGKILL","oom":{"cgroup":""}}}}`, "/data/exit/oom/cgroup minLength"},
		{event, schematest.ExitedDocument, `{"data":{"exit":{"code":null,"signal":"SIGKILL","oom":{"cgroup":"/a","limit":0}}}}`, "/data/exit/oom/limit minimum"},
		{event, schematest.ExitedDocument, `{"data":{"exit":{"code":null,"signal":"SIGKILL","oom":{"cgroup":"/a","usage":1}}}}`, "/data/exit/oom additionalProperties"},
		{event, schematest.ExitedDocument, `{"data":{"ran":-1}}`, "/data/ran minimum"},
		{event, schematest.ExitedDocument, `{"data":{"ran":"1s"}}`, "/data/ran type"},
		{event, schematest.ExitedDocument, `{"data":{"last":{"fds":3}}}`, "/data/last required"},
		{event, schematest.ExitedDocument, `{"data":{"last":{"time":"2026-11-21T19:00:31.833512Z","threads":0}}}`, "/data/last/threads minimum"},
		{event, schematest.ExitedDocument, `{"data":{"last":{"time":"2026-11-21T19:00:31.833512Z","cpu_seconds":0}}}`, "/data/last/cpu_seconds exclusiveMinimum"},
		{event, schematest.ExitedDocument, `{"data":{"last":{"time":"2026-11-21T19:00:31.833512Z","swap":1}}}`, "/data/last additionalProperties"},
		{event, logDocument, `{"data":{"ran":3}}`, "/data/event enum"},
		{event, schematest.ExitedDocument, `{"data":{"log":{"stderr":""}}}`, "/data/log/stderr minLength"},
		{event, schematest.ExitedDocument, `{"data":{"log":{"syslog":"a"}}}`, "/data/log additionalProperties"},
		{event, schematest.ExitedDocument, `{"data":{"part":1,"parts":2}}`, "/data required"},
		{event, logDocument, `{"data":{"data_base64":"/w=="}}`, "/data not"},
		{event, logDocument, `{"data":{"data":null,"data_base64":"/w="}}`, "/data/data_base64 contentEncoding, /data/data_base64 minLength, /data/data_base64 pattern"},
		{event, logDocument, `{"data":{"data":null}}`, "/data required"},
		{event, logDocument, `{"data":{"data":7}}`, "/data/data type"},
		{event, logDocument, `{"data":{"channel":null}}`, "/data dependentRequired/process"},
		{event, logDocument, `{"data":{"channel":"syslog"}}`, "/data/channel enum"},
		{event, logDocument, `{"data":{"part":null}}`, "/data dependentRequired/parts"},
		{event, logDocument, `{"data":{"parts":null}}`, "/data dependentRequired/part"},
		{event, logDocument, `{"data":{"part":0}}`, "/data/part minimum"},
		{event, logDocument, `{"data":{"parts":1}}`, "/data/parts minimum"},
		{event, logDocument, `{"data":{"exit":{"code":3}}}`, "/data/event enum"},
		{event, logDocument, `{"data":{"log":{"stdout":"a"}}}`, "/data/event enum"},
		{event, tickDocument, `{"data":{"when":null}}`, "/data required"},
		{event, tickDocument, `{"data":{"event":"TICK_60"}}`, "/data/event const"},
		{event, tickDocument, `{"type":"org.supervisord.process_group.added","data":{"event":"PROCESS_GROUP_ADDED"}}`, "/data required"},
		{event, tickDocument, `{"type":"org.supervisord.remote_communication.-","data":{"event":"REMOTE_COMMUNICATION"}}`, "/data required"},
		{event, otherDocument, `{"data":{"event":""}}`, "/data/event minLength"},
		{event, otherDocument, `{"data":{"event":"TICK_5","when":5}}`, "/data/event not"},
		{snapshot, snapshotDocument, `{"type":"supernats.bridge.started"}`, "/type const"},
		{snapshot, snapshotDocument, `{"source":"/supernats/"}`, "/source pattern"},
		{snapshot, snapshotDocument, `{"data":{"processes":null}}`, "/data required"},
		{snapshot, snapshotDocument, `{"data":{"processes":{}}}`, "/data/processes type"},
		{snapshot, snapshotDocument, `{"data":{"processes":[{}]}}`, "/data/processes/0 required"},
		{snapshot, snapshotDocument, `{"data":{"reason":"whim"}}`, "/data/reason enum"},
		{snapshot, snapshotDocument, `{"data":{"supervisor_state":"Running"}}`, "/data/supervisor_state enum"},
		{snapshot, snapshotDocument, `{"data":{"boot":""}}`, "/data/boot pattern"},
		{snapshot, snapshotDocument, `{"data":{"uptime":1}}`, "/data additionalProperties"},
		{bridge, startedDocument, `{"type":"supernats.bridge.paused"}`, "/type enum"},
		{bridge, startedDocument, `{"data":null}`, "/ required"},
		{bridge, startedDocument, `{"data":{"settings":null}}`, "/data required"},
		{bridge, startedDocument, `{"data":{"settings":{"host":1}}}`, "/data/settings/host type"},
		{bridge, startedDocument, `{"data":{"pid":0}}`, "/data/pid minimum"},
		{bridge, startedDocument, `{"data":{"cause":"spool-full"}}`, "/data additionalProperties"},
		{bridge, startedDocument, `{"type":"supernats.bridge.loss"}`, "/data additionalProperties, /data required"},
		{bridge, lossDocument, `{"type":"supernats.bridge.reconnect"}`, "/data additionalProperties, /data required"},
		{bridge, lossDocument, `{"data":{"cause":"moths"}}`, "/data/cause enum"},
		{bridge, lossDocument, `{"data":{"count":null}}`, "/data required"},
		{bridge, lossDocument, `{"data":{"boot":"4f0c"}}`, "/data/boot pattern"},
		{bridge, lossDocument, `{"data":{"events":{"TICK_5":"2"}}}`, "/data/events/TICK_5 type"},
		{alert, resolvedDocument, `{"data":{"closed":null}}`, "/data required"},
		{alert, resolvedDocument, `{"data":{"opened":"yesterday"}}`, "/data/opened format"},
		{alert, resolvedDocument, `{"data":{"closed":"2026-11-21T19:00:31Z"}}`, "/data/closed pattern"},
		{alert, resolvedDocument, `{"type":"supernats.alert.closed"}`, "/type enum"},
		{alert, resolvedDocument, `{"data":{"events":null}}`, "/data required"},
		{alert, resolvedDocument, `{"data":{"events":[{"id":"1"}]}}`, "/data/events/0 required"},
		{alert, resolvedDocument, `{"data":{"notify":[]}}`, "/data/notify minItems"},
		{alert, resolvedDocument, `{"data":{"labels":{"a":1}}}`, "/data/labels/a type"},
		{alert, resolvedDocument, `{"data":{"rule":""}}`, "/data/rule minLength"},
		{alert, resolvedDocument, `{"data":{"count":-1}}`, "/data/count minimum"},
		{state, stateDocument, `{"state":"Exited"}`, "/state enum"},
		{state, stateDocument, `{"since":null}`, "/ required"},
		{state, stateDocument, `{"since":1795287631}`, "/since type"},
		{state, stateDocument, `{"boot":"x"}`, "/boot pattern"},
		{state, stateDocument, `{"exits":-1}`, "/exits minimum"},
		{state, stateDocument, `{"exit":{"code":1}}`, "/exit not"},
		{state, stateDocument, `{"specversion":"1.0"}`, "/ additionalProperties"},
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
		{SchemaEvent, schematest.ExitedDocument, `{}`},
		{SchemaEvent, schematest.ExitedDocument, `{"traceparent":"00-1","sampledrate":30,"urgent":true}`},
		{SchemaEvent, schematest.ExitedDocument, `{"id":"a/b\nc/4f0c6d1e2a90b7c3/0"}`},
		{SchemaEvent, schematest.ExitedDocument, `{"data":{"pid":null,"exit":null,"log":null,"expected":true}}`},
		{SchemaEvent, schematest.ExitedDocument, `{"data":{"exit":{"code":null,"signal":"signal 35","core":true,"spawnerr":"a"}}}`},
		{SchemaEvent, schematest.ExitedDocument, `{"data":{"exit":{"code":null,"signal":"SIGKILL","source":"pidfd","oom":{"cgroup":"/"}},"ran":0,"last":{"time":"2026-11-21T19:00:31.833512Z"}}}`},
		{SchemaEvent, schematest.ExitedDocument, `{"data":{"exit":null,"expected":true,"ran":3.25}}`},
		{SchemaEvent, schematest.ExitedDocument, `{"type":"org.supervisord.process_state.stopped","data":{"event":"PROCESS_STATE_STOPPED","exit":null,"log":null,"ran":3.25}}`},
		{SchemaEvent, schematest.ExitedDocument, `{"data":{"process":null,"from_state":null,"expected":null,"data":"what came"}}`},
		{SchemaEvent, schematest.ExitedDocument, `{"data":{"process":null,"from_state":null,"expected":null,"data_base64":"/w=="}}`},
		{SchemaEvent, logDocument, `{}`},
		{SchemaEvent, tickDocument, `{}`},
		{SchemaEvent, otherDocument, `{}`},
		{schemaSnapshot, snapshotDocument, `{}`},
		{schemaSnapshot, snapshotDocument, `{"data":{"processes":[]}}`},
		{schemaBridge, startedDocument, `{}`},
		{schemaBridge, lossDocument, `{}`},
		{schemaAlert, resolvedDocument, `{}`},
		{"urn:supernats:state:1", stateDocument, `{}`},
	} {
		document := schematest.Patch(t, c.document, c.changes)
		if got := validate(t, c.id, document); got != nil {
			t.Errorf("%s\nwith %s is refused for %q", c.id, c.changes, got)
		}
	}
}
