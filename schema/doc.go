// Package schema is the contract of supernats in Go: the events, snapshots and
// records that travel over NATS, the subjects they travel on, and the records
// of the buckets. The same contract in JSON Schema and AsyncAPI lies beside it
// (event.schema.json and so on, asyncapi.yaml); tests hold them together.
//
// Nothing here blocks, allocates without bound or panics on input: decoding
// keeps what it does not understand.
package schema
