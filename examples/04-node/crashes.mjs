// Prints every unexpected exit, a line each. When it is started again, it continues where
// it stopped.
//
//     node crashes.mjs nats://127.0.0.1:4222
import { connect } from "@nats-io/transport-node";
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";

const nc = await connect({ servers: process.argv[2] ?? "nats://127.0.0.1:4222", maxReconnectAttempts: -1 });

// The durable consumer is where the server remembers what we have handled.
const name = "node_crashes";
const jsm = await jetstreamManager(nc);
await jsm.consumers.add("SUPERVISOR", {
  durable_name: name,
  ack_policy: AckPolicy.Explicit,
  filter_subject: "supervisor.event.*.*.*.process_state.exited",
});

const consumer = await jetstream(nc).consumers.get("SUPERVISOR", name);
const messages = await consumer.consume({ max_messages: 100 });
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => messages.stop());
}
for await (const m of messages) {
  let event;
  try {
    event = m.json(); // a CloudEvent, see schema/event.schema.json
  } catch (err) {
    console.error(`message ${m.seq} is no JSON: ${err.message}`);
    m.term("no JSON"); // it will not become better
    continue;
  }
  const { host, group, process: program, expected, exit, ran } = event.data;
  if (expected === false) {
    const why = exit?.signal ?? (exit?.code === undefined ? "unknown" : `exit code ${exit.code}`);
    const memory = exit?.oom ? ", out of memory" : "";
    const life = ran === undefined ? "" : ` after ${ran} s`;
    console.log(`${event.time} ${host} ${group}:${program} ${why}${memory}${life} seq=${m.seq}`);
  }
  // The message comes again if the program dies before this: m.seq identifies it.
  m.ack();
}
await nc.drain();
