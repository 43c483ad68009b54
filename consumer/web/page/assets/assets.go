// Package assets serves the files that pages need: their style, their scripts and their icon.
// A file never changes under its address, which has a hash of it: a browser asks once.
package assets

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed *.css *.js *.svg
var files embed.FS

// asset is a file.
type asset struct {
	text        []byte
	contentType string
	address     string
}

// byName has the files by name, byAddress by the name in their address.
var byName, byAddress = readAssets()

func readAssets() (byName, byAddress map[string]*asset) {
	byName, byAddress = map[string]*asset{}, map[string]*asset{}
	names, err := fs.Glob(files, "*")
	if err != nil {
		panic(err)
	}
	types := map[string]string{
		".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	}

	for _, file := range names {
		text, err := files.ReadFile(file)
		if err != nil {
			panic(err)
		}
		name, ext := path.Base(file), path.Ext(file)
		sum := sha256.Sum256(text)
		address := strings.TrimSuffix(name, ext) + "-" + hex.EncodeToString(sum[:6]) + ext
		a := &asset{text: text, contentType: types[ext], address: address}
		byName[name], byAddress[address] = a, a
	}
	return byName, byAddress
}

// Path is the path of a file: "/assets/page-3f1c….css".
func Path(name string) string { return "/assets/" + byName[name].address }

// policy allows a file nothing but connections to where it comes from.
const policy = "default-src 'none'; connect-src 'self'"

// Serve answers GET /assets/{name}.
func Serve(w http.ResponseWriter, r *http.Request) {
	a := byAddress[r.PathValue("name")]
	if a == nil {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Type", a.contentType)
	header.Set("Cache-Control", "public, max-age=31536000, immutable")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", policy) // the script of a worker has one of its own
	_, _ = w.Write(a.text)
}
