package dashboard

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed assets
var assetFiles embed.FS

// assets are files that browsers may keep for ever: their address has a hash of
// what they are.
type assets struct {
	byPath map[string]asset  // without the leading /assets/
	paths  map[string]string // by file name
}

type asset struct {
	kind           string
	plain, gzipped []byte
}

func readAssets() (*assets, error) {
	out := &assets{map[string]asset{}, map[string]string{}}
	err := fs.WalkDir(assetFiles, "assets", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := assetFiles.ReadFile(name)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err != nil {
			return err
		}
		if _, err := z.Write(data); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		file := path.Base(name)
		at := hex.EncodeToString(sum[:6]) + "/" + file
		out.paths[file] = at
		out.byPath[at] = asset{mime.TypeByExtension(path.Ext(file)), data, b.Bytes()}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the assets: %w", err)
	}
	return out, nil
}

// ServeHTTP answers for what is below /assets/.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	one, ok := a.byPath[strings.TrimPrefix(r.URL.Path, "/assets/")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", one.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept-Encoding")
	data := one.plain
	if takesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		data = one.gzipped
	}
	h.Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data)
}

func takesGzip(r *http.Request) bool {
	for _, part := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(name, "gzip") && strings.ReplaceAll(params, " ", "") != "q=0" {
			return true
		}
	}
	return false
}
