package live_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/greenroom-dev/greenroom/examples/live"
	"github.com/greenroom-dev/greenroom/examples/live/internal/livetest"
	"github.com/greenroom-dev/greenroom/examples/live/internal/trail"
)

func second(services ...string) map[string]string {
	versions := map[string]string{}
	for _, s := range services {
		versions[s] = "v2"
	}
	return versions
}

func send(t *testing.T, method, url string, body io.Reader, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(raw)
}

func TestPathOfOneRelease(t *testing.T) {
	for name, fleet := range map[string]struct {
		versions map[string]string
		path     string
	}{
		"v1":                {nil, "web=v1,api=v1,gift=v1,wallet=v1"},
		"v2, the api stays": {second(live.Changed()...), "web=v2,api=v1,gift=v2,wallet=v2"},
		"v2, the api too":   {second(live.Services()...), "web=v2,api=v2,gift=v2,wallet=v2"},
	} {
		t.Run(name, func(t *testing.T) {
			f := livetest.Start(t, fleet.versions)
			full := bytes.Repeat([]byte("gift"), trail.MaxBody/4)
			for _, c := range []struct {
				method, url string
				body        []byte
			}{
				{"GET", f.URL["web"] + "/path", nil},
				{"POST", f.URL["web"] + "/path", []byte("hello")},
				{"POST", f.URL["web"] + "/path", full},
			} {
				res, raw := send(t, c.method, c.url, bytes.NewReader(c.body))
				if got := res.Header.Get(trail.Header); res.StatusCode != 200 || got != fleet.path {
					t.Fatalf("%s %s: %s, %s %s; want 200 and %s", c.method, c.url, res.Status, got, raw, fleet.path)
				}
				if res.Header.Get(trail.MixedHeader) != "" {
					t.Errorf("%s %s: said to be mixed", c.method, c.url)
				}
				var answer trail.Answer
				if err := json.Unmarshal([]byte(raw), &answer); err != nil {
					t.Fatal(err)
				}
				if answer.Path.String() != fleet.path || answer.Mixed {
					t.Errorf("%s %s: body says %s, mixed %v", c.method, c.url, answer.Path, answer.Mixed)
				}
				if sum := sha256.Sum256(c.body); c.body != nil && answer.Digest != hex.EncodeToString(sum[:]) {
					t.Errorf("%s %s: digest %s, want %x", c.method, c.url, answer.Digest, sum)
				}
			}
			res, page := send(t, "GET", f.URL["web"]+"/", nil)
			mark := `data-version="` + fleet.path[4:6] + `"`
			if res.StatusCode != 200 || !strings.Contains(page, mark) || !strings.Contains(page, "1000</span> coins") {
				t.Errorf("page: %s, want 200, %s and a balance in:\n%s", res.Status, mark, page)
			}
		})
	}
}

// Every fleet in which web, gift and wallet are not of one release fails on
// every path that meets two of them.
func TestMixedFails(t *testing.T) {
	for _, v2 := range [][]string{
		{"web"}, {"gift"}, {"wallet"}, {"web", "gift"}, {"web", "wallet"}, {"gift", "wallet"},
	} {
		t.Run(strings.Join(v2, " and "), func(t *testing.T) {
			f := livetest.Start(t, second(v2...))
			urls := []string{"GET " + f.URL["web"] + "/path", "POST " + f.URL["web"] + "/path", "GET " + f.URL["web"] + "/"}
			versions := second(v2...)
			if versions["gift"] != versions["wallet"] {
				urls = append(urls, "GET "+f.URL["api"]+"/api/path", "POST "+f.URL["api"]+"/api/path", "GET "+f.URL["api"]+"/api/room",
					"POST "+f.URL["api"]+"/api/gift?from=a&to=b&coins=1", "GET "+f.URL["gift"]+"/path")
			}
			for _, u := range urls {
				method, url, _ := strings.Cut(u, " ")
				res, raw := send(t, method, url, nil)
				if res.StatusCode != 500 || res.Header.Get(trail.MixedHeader) != "1" || len(raw) == 0 {
					t.Errorf("%s: %s, %s %q; want a loud 500", u, res.Status, trail.MixedHeader, res.Header.Get(trail.MixedHeader))
				}
				if got := trail.Of(res.Header); !got.Mixed() {
					t.Errorf("%s: the trail %s does not show it", u, got)
				}
			}
			// Nothing was moved and nothing is owed.
			if n := len(ledger(t, f.Data, "wallet.jsonl")); n != 0 {
				t.Errorf("%d transfers were made", n)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	f := livetest.Start(t, nil)
	web, api := f.URL["web"], f.URL["api"]
	if res, raw := send(t, "POST", api+"/api/gift?from=poor&to=b&coins=1000", nil); res.StatusCode != 200 {
		t.Fatalf("giving all one has: %s %s", res.Status, raw)
	}
	large := strings.Repeat("x", trail.MaxBody+1)
	for name, c := range map[string]struct {
		url, body string
		header    []string
		status    int
		says      string
	}{
		"too large":         {web + "/path", large, nil, 413, "1 MiB"},
		"wrong digest":      {web + "/path", "hello", []string{"Content-Digest", "sha-256=:" + strings.Repeat("A", 43) + "=:"}, 400, "arrived with digest"},
		"no digest":         {web + "/path", "hello", []string{"Content-Digest", "sha-256=:hello:"}, 400, "no SHA-256"},
		"no coins":          {api + "/api/gift?from=a&to=b", "", nil, 400, "coins"},
		"nobody":            {api + "/api/gift?coins=1", "", nil, 400, "from and to"},
		"not of this time":  {api + "/api/gift?from=a&to=b&coins=1&times=2", "", nil, 400, "version 2"},
		"too poor":          {api + "/api/gift?from=poor&to=b&coins=1", "", nil, 402, "not enough coins"},
		"more than allowed": {api + "/api/gift?from=a&to=b&coins=1001", "", nil, 400, "1000 coins"},
		"a path for an id":  {api + "/api/gift?from=a&to=b&coins=1", "", []string{"Idempotency-Key", "../x"}, 400, "Idempotency-Key"},
	} {
		t.Run(name, func(t *testing.T) {
			res, raw := send(t, "POST", c.url, strings.NewReader(c.body), c.header...)
			if res.StatusCode != c.status || !strings.Contains(raw, c.says) {
				t.Errorf("%s %s; want %d and %q", res.Status, raw, c.status, c.says)
			}
		})
	}
}

func TestCannotRun(t *testing.T) {
	for name, c := range map[string]struct {
		service, version string
		env              map[string]string
		says             string
	}{
		"service": {"cinema", "v1", nil, `no service "cinema"; choose one of web, api`},
		"version": {"web", "v3", nil, `no version "v3"; choose one of v1, v2`},
		"port":    {"wallet", "v1", nil, "needs PORT"},
		"callee":  {"web", "v1", map[string]string{"PORT": "0"}, "set GREENROOM_URL_API"},
		"otel":    {"api", "v1", map[string]string{"PORT": "0", "GREENROOM_URL_GIFT": "http://127.0.0.1:1", "OTEL_PROPAGATORS": "b3"}, `names "b3"`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			getenv := func(key string) string {
				if key == "LIVE_DATA" {
					return dir
				}
				return c.env[key]
			}
			err := live.Run(context.Background(), c.service, c.version, getenv, slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}
