package trail

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// MaxBody is the largest body, in bytes, that crosses the path: 1 MiB.
const MaxBody = 1 << 20

// Answer is what /path answers, at each hop for the hops from there on.
type Answer struct {
	Path   Trail  `json:"path"`
	Mixed  bool   `json:"mixed"`
	Digest string `json:"digest,omitempty"` // hex SHA-256 of the body, as the wallet saw it
	Error  string `json:"error,omitempty"`
}

// Write answers with status, or with 500 where releases were mixed: better a
// loud failure than half a gift.
func (a Answer) Write(w http.ResponseWriter, status int) {
	Mark(w.Header(), a.Path, a.Mixed)
	if a.Mixed {
		status = http.StatusInternalServerError
	}
	WriteJSON(w, status, a)
}

// Mark sets the headers that tell a trail.
func Mark(h http.Header, t Trail, mixed bool) {
	h.Set(Header, t.String())
	if mixed {
		h.Set(MixedHeader, "1")
	}
}

// WriteJSON answers with v as JSON.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone: nobody to tell
}

// Forward sends r on to url, with its body as it streams in and the headers that
// belong to the app. The stamp and its like are the client's business.
func Forward(client *http.Client, r *http.Request, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(r.Context(), r.Method, url, r.Body)
	if err != nil {
		return nil, fmt.Errorf("calling %s: %w", url, err)
	}
	req.ContentLength = r.ContentLength
	if r.ContentLength == 0 {
		req.Body = http.NoBody
	}
	req.URL.RawQuery = r.URL.RawQuery
	for _, key := range []string{"Content-Type", "Content-Digest", "Idempotency-Key"} {
		if v := r.Header.Get(key); v != "" {
			req.Header.Set(key, v)
		}
	}
	return client.Do(req)
}

// Cross sends r on to the /path of the next hop and returns that hop's answer
// with self in front, and the status to give it. A hop that cannot be reached,
// or that answers without a trail, is a bad gateway.
func Cross(client *http.Client, r *http.Request, url string, self Hop) (Answer, int) {
	res, err := Forward(client, r, url)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return Answer{Path: Trail{self}, Error: "a body has 1 MiB at most"}, http.StatusRequestEntityTooLarge
	}
	if err != nil {
		return Answer{Path: Trail{self}, Error: err.Error()}, http.StatusBadGateway
	}
	defer res.Body.Close()
	var next Answer
	raw, err := io.ReadAll(io.LimitReader(res.Body, MaxBody))
	if err == nil {
		err = json.Unmarshal(raw, &next)
	}
	if err != nil {
		return Answer{
			Path:  Of(res.Header).Behind(self),
			Error: fmt.Sprintf("%s answered %s: %s", url, res.Status, raw),
		}, http.StatusBadGateway
	}
	next.Path = next.Path.Behind(self)
	next.Mixed = next.Mixed || next.Path.Mixed()
	if next.Mixed && next.Error == "" {
		next.Error = "two releases answered one request: " + next.Path.String()
	}
	return next, res.StatusCode
}
