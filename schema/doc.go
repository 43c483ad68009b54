// Package schema is the contract of supernats in Go: the events, snapshots and records
// that travel over NATS, the subjects they travel on, the records of the buckets, and the
// words that both programs share (states of processes, globs). The same contract in JSON
// Schema and AsyncAPI lies beside it (event.schema.json, asyncapi.yaml, …); tests hold
// them together.
//
// Nothing here blocks, allocates without bound or panics on any input: decoding keeps what
// it does not understand.
package schema
