// Package strict decodes a YAML file into a struct and finds every mistake in one run:
// unknown keys, wrong types, variables that are not set, syntax errors. Each one has its
// place as file:line:column, names what was found and what is allowed, and shows no
// secret. The YAML package's own decoder stops at the first mistake and has no positions
// for values, so it only parses here.
//
// A section with a syntax error is left out with its mistake and hides none of the
// others. Sections without a type of their own know structs, pointers, slices, maps of
// texts, texts, whole numbers, booleans and whatever implements
// encoding.TextUnmarshaler; ${NAME} in a text is the value of an environment variable.
//
// A hostile file is bounded: aliases may stand for 131,072 values, and 100 mistakes are
// reported; the rest is counted.
package strict

import (
	"iter"
	"maps"
	"reflect"

	"github.com/goccy/go-yaml/token"
)

// File is a decoded file: where its keys are written, and what is wrong with it. It is
// for one goroutine.
//
// A key is named by its path: "mail.from", "rules[2].notify[0]".
type File struct {
	path string
	// keys holds where the value of each key is written, or of a section its key. empty
	// are the keys whose value is null, which leaves the default.
	keys  map[string]*token.Token
	empty map[string]bool
	// failed are the keys whose value could not be decoded: what is wrong with them
	// beyond that only follows from it.
	failed map[string]bool
	// cutOff is set when decoding ended at the bound of values.
	cutOff bool

	mistakes []mistake
	// reported are the mistakes without the paths of their keys.
	reported map[mistake]bool
}

// Options are what a decoder cannot see in the types.
type Options struct {
	// TextOrList are slice types for which one text may stand: `hosts: web1`.
	TextOrList []reflect.Type
	// Nearest returns the one of the known names that was meant by an unknown one, or
	// nothing if it is not plain which; nil: no suggestions.
	Nearest func(name string, known []string) string
}

// Decode decodes a file over the defaults in the struct that into points to. What is wrong
// with it is in the result; path is only shown.
func Decode(path string, text []byte, into any, o Options) *File {
	f := &File{
		path: path, keys: map[string]*token.Token{}, empty: map[string]bool{}, failed: map[string]bool{},
		reported: map[mistake]bool{},
	}
	p := newParser(f)
	body := p.parseFile(text)
	if body == nil {
		return f
	}

	d := &decoder{file: f, options: o, aliases: p.aliases, broken: p.broken}
	d.decodeValue(body, reflect.ValueOf(into).Elem(), "")
	return f
}

// Has reports whether a key is in the file, even without a value.
func (f *File) Has(key string) bool { return f.keys[key] != nil }

// Written reports whether a key is in the file and has a value.
func (f *File) Written(key string) bool { return f.keys[key] != nil && !f.empty[key] }

// Keys returns the keys that are in the file.
func (f *File) Keys() iter.Seq[string] { return maps.Keys(f.keys) }

// FailedKeys returns the keys whose values could not be decoded.
func (f *File) FailedKeys() iter.Seq[string] { return maps.Keys(f.failed) }

// IsCutOff reports whether decoding ended at the bound of values: most of the file was not
// looked at.
func (f *File) IsCutOff() bool { return f.cutOff }
